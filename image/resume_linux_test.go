package image_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/remote"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ranges notes what was asked of blobs, as "digest Range", and passes it on.
type ranges struct {
	mu  sync.Mutex
	all []string
}

func (r *ranges) fault(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, id, _ := strings.Cut(req.URL.Path, "/blobs/")
		r.mu.Lock()
		r.all = append(r.all, strings.TrimSpace(id+" "+req.Header.Get("Range")))
		r.mu.Unlock()
		next.ServeHTTP(w, req)
	})
}

func partials(t *testing.T, s *image.Store) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(s.Root(), "content/ingest/partial/*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// single publishes an image of one layer and returns its blob.
func single(t *testing.T, reg *imagetest.Registry, size int) imagetest.Blob {
	t.Helper()
	img := imagetest.Random(7, 1, size)
	img.Layers[0].Compression = imagetest.Gzip
	b, err := img.Build()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reg.Add("a:1", img); err != nil {
		t.Fatal(err)
	}
	return b.Layers[0]
}

// broken pulls an image from a registry that breaks off after n bytes of its
// layer, for good.
func broken(t *testing.T, s *image.Store, reg *imagetest.Registry, name string, blob imagetest.Blob, n int) {
	t.Helper()
	reg.On(blob.Digest.String(), imagetest.Truncate(n))
	reg.On(blob.Digest.String(), imagetest.NoRange())
	if _, err := s.Pull(t.Context(), name, image.PullOptions{}); err == nil {
		t.Fatal("a pull from a broken registry succeeded")
	}
	reg.Heal()
}

// A pull goes on where an earlier one broke off, also that of another process
// or store; what it left is gone then.
func TestResume(t *testing.T) {
	s, reg, host := open(t, image.Options{Client: remote.Options{Retries: -1}})
	blob := single(t, reg, 100_000)
	broken(t, s, reg, host+"/a:1", blob, 30_000)
	if got := partials(t, s); len(got) != 1 {
		t.Fatalf("left of a pull: %q", got)
	}
	asked := &ranges{}
	reg.On("/blobs/", asked.fault)
	other, err := image.Open(s.Root(), image.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	img, err := other.Pull(t.Context(), host+"/a:1", image.PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := blob.Digest.String() + " bytes=30000-"; asked.all[len(asked.all)-1] != want {
		t.Errorf("asked for %q, not %q", asked.all, want)
	}
	if got := partials(t, s); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
	mount(t, s, "k", img, false)
}

// What was left and is not the beginning of the blob is dropped, and all fetched.
func TestResumeDamaged(t *testing.T) {
	for name, damage := range map[string]func(b []byte, size int) []byte{
		"a bit":      func(b []byte, _ int) []byte { b[len(b)/2] ^= 1; return b },
		"zeros":      func(b []byte, _ int) []byte { return make([]byte, len(b)) },
		"longer":     func(b []byte, size int) []byte { return make([]byte, size+1) },
		"as long":    func(_ []byte, size int) []byte { return make([]byte, size) },
		"other data": func([]byte, int) []byte { return bytes.Repeat([]byte("x"), 999) },
	} {
		t.Run(name, func(t *testing.T) {
			s, reg, host := open(t, image.Options{Client: remote.Options{Retries: -1}})
			blob := single(t, reg, 100_000)
			broken(t, s, reg, host+"/a:1", blob, 30_000)
			file := partials(t, s)[0]
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, damage(b, int(blob.Size)), 0o600); err != nil {
				t.Fatal(err)
			}
			img, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if bad, err := s.Check(t.Context()); err != nil || len(bad) > 0 || len(partials(t, s)) > 0 {
				t.Errorf("%q, %v; left %q", bad, err, partials(t, s))
			}
			mount(t, s, "k", img, false)
		})
	}
}

// What nobody comes back for is removed after an hour, unless someone has it.
func TestOldPartialsGo(t *testing.T) {
	s, reg, host := open(t, image.Options{Client: remote.Options{Retries: -1}})
	broken(t, s, reg, host+"/a:1", single(t, reg, 100_000), 30_000)
	reopen := func() {
		t.Helper()
		again, err := image.Open(s.Root(), image.Options{NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
	reopen()
	left := partials(t, s)
	if len(left) != 1 {
		t.Fatalf("it went at once: %q", left)
	}
	old := time.Now().Add(-61 * time.Minute)
	if err := os.Chtimes(left[0], old, old); err != nil {
		t.Fatal(err)
	}
	reopen()
	if left := partials(t, s); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

// Where space is needed, what is left of a pull goes first, and at once, unless
// a pull has it.
func TestPartialsGoForSpace(t *testing.T) {
	full := image.SpaceOptions{Disk: disk(100, 0)}
	for name, c := range map[string]struct {
		free func(s *image.Store) (image.Freed, error)
		goes bool
	}{
		"free space": {func(s *image.Store) (image.Freed, error) { return s.FreeSpace(t.Context(), full) }, true},
		"prune":      {func(s *image.Store) (image.Freed, error) { return s.Prune(t.Context(), image.SpaceOptions{}) }, true},
		"enough space": {func(s *image.Store) (image.Freed, error) {
			return s.FreeSpace(t.Context(), image.SpaceOptions{Disk: disk(100, 50)})
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, reg, host := open(t, image.Options{Client: remote.Options{Retries: -1}})
			broken(t, s, reg, host+"/a:1", single(t, reg, 100_000), 30_000)
			freed, err := c.free(s)
			if err != nil && reason(err) != image.ReasonFreeDiskSpace { // the disk stays full
				t.Error(err)
			}
			if gone := len(partials(t, s)) == 0; gone != c.goes || gone != (freed.Partial == 30_000) {
				t.Errorf("gone: %v, %+v", gone, freed)
			}
		})
	}
	t.Run("under way", func(t *testing.T) {
		s, reg, host := open(t, image.Options{})
		blob := single(t, reg, 100_000)
		asked := &ranges{}
		reg.On(blob.Digest.String(), imagetest.Times(1, imagetest.Truncate(30_000)))
		reg.On(blob.Digest.String(), asked.fault)
		freed := image.Freed{Partial: -1}
		img, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{Progress: func(p image.Progress) {
			if p.Bytes > 0 && freed.Partial < 0 {
				var err error
				if freed, err = s.Prune(t.Context(), image.SpaceOptions{}); err != nil {
					t.Error(err)
				}
			}
		}})
		if err != nil || freed.Partial != 0 {
			t.Fatalf("%+v, %v", freed, err)
		}
		if len(asked.all) != 2 || !strings.HasSuffix(asked.all[1], " bytes=30000-") {
			t.Errorf("asked for %q", asked.all)
		}
		mount(t, s, "k", img, false)
	})
}

// A process that is killed in the middle of a blob leaves its beginning to the
// next one.
func TestResumeAfterKill(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	blob := single(t, reg, 400_000)
	reg.On(blob.Digest.String(), imagetest.Slow(5_000, 10*time.Millisecond))
	cmd := helper(s.Root(), host+"/a:1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for { // until something has come
		if p := partials(t, s); len(p) == 1 {
			if fi, err := os.Stat(p[0]); err == nil && fi.Size() > 10_000 {
				break
			}
		}
		time.Sleep(time.Millisecond)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	reg.Heal()
	asked := &ranges{}
	reg.On(blob.Digest.String(), asked.fault)
	img, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(asked.all) != 1 || !strings.Contains(asked.all[0], " bytes=") {
		t.Errorf("asked for %q", asked.all)
	}
	mount(t, s, "k", img, false)
}

// A pull that is cancelled leaves what came, too.
func TestResumeAfterCancel(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	blob := single(t, reg, 400_000)
	reg.On(blob.Digest.String(), imagetest.Slow(5_000, 10*time.Millisecond))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.Pull(ctx, host+"/a:1", image.PullOptions{Progress: func(p image.Progress) {
		if p.Bytes > 0 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || len(partials(t, s)) != 1 {
		t.Fatalf("%v; left %q", err, partials(t, s))
	}
	reg.Heal()
	asked := &ranges{}
	reg.On(blob.Digest.String(), asked.fault)
	if _, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(asked.all) != 1 || !strings.Contains(asked.all[0], " bytes=") {
		t.Errorf("asked for %q", asked.all)
	}
}

// family is n images that share layers, each in an index, and all their blobs.
func family(t *testing.T, reg *imagetest.Registry, n int) (names []string, blobs map[string]bool) {
	t.Helper()
	base := imagetest.Random(1, 4, 20_000)
	blobs = map[string]bool{}
	for i := range n {
		img := imagetest.Random(uint64(i+2), 2, 5_000)
		img.Layers = append(append([]imagetest.Layer(nil), base.Layers[:1+i%4]...), img.Layers...)
		b, err := img.Build()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range append(b.Layers, b.Config, b.Manifest) {
			blobs[l.Digest.String()] = true
		}
		name := fmt.Sprintf("i%d:1", i)
		if _, err := reg.AddIndex(name, img); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names, blobs
}

// onlyOnce fails unless each of the blobs was asked for once.
func onlyOnce(t *testing.T, requests []string, blobs map[string]bool) {
	t.Helper()
	seen := map[string]int{}
	for _, r := range requests {
		seen[r[strings.LastIndex(r, "/")+1:]]++
	}
	for id := range blobs {
		if seen[id] != 1 {
			t.Errorf("%s was fetched %d times", id, seen[id])
		}
	}
}

// 100 pulls at once of 20 images that share layers fetch each blob once: layers,
// configs and manifests. Each pull asks the registry what its name means: once
// for the whole, else for the digest.
func TestHundredPulls(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	names, blobs := family(t, reg, 20)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if _, err := s.Pull(t.Context(), host+"/"+names[i%len(names)], image.PullOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	requests := reg.Requests()
	onlyOnce(t, requests, blobs)
	asked := map[string]int{}
	for _, r := range requests {
		if method, path, _ := strings.Cut(r, " "); strings.HasSuffix(path, "/manifests/1") {
			asked[method]++
		}
	}
	if asked["GET"] != 20 || asked["HEAD"] != 80 {
		t.Errorf("names were asked for %v", asked)
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 20 {
		t.Errorf("%d images, %v", len(list), err)
	}
}

// TestHelperPullAll is one process of TestProcessesShareBlobs.
func TestHelperPullAll(t *testing.T) {
	root, names, ok := strings.Cut(os.Getenv("IMAGE_TEST_PULL_ALL"), "|")
	if !ok {
		t.Skip("it is a helper of other tests")
	}
	s, err := image.Open(root, image.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var wg sync.WaitGroup
	for _, name := range strings.Split(names, ",") {
		wg.Go(func() {
			if _, err := s.Pull(t.Context(), name, image.PullOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// Processes that pull the same at once fetch each blob once.
func TestProcessesShareBlobs(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	names, blobs := family(t, reg, 5)
	for i := range names {
		names[i] = host + "/" + names[i]
	}
	var wg sync.WaitGroup
	for range 4 {
		cmd := helper("", "", "IMAGE_TEST_PULL_ALL="+s.Root()+"|"+strings.Join(names, ","))
		cmd.Args[1] = "-test.run=^TestHelperPullAll$"
		wg.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	onlyOnce(t, reg.Requests(), blobs)
}

// A foreign layer comes from its URLs where that is allowed, and is refused by
// name where it is not.
func TestForeignLayers(t *testing.T) {
	elsewhere := &imagetest.Registry{}
	host, stop, err := elsewhere.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	img := imagetest.Random(3, 1, 1000)
	b, err := img.Build()
	if err != nil {
		t.Fatal(err)
	}
	elsewhere.Put(b.Layers[0])
	img.EditManifest = func(m *ocispec.Manifest) {
		m.Layers[0].MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
		m.Layers[0].URLs = []string{"http://" + host + "/v2/x/blobs/" + b.Layers[0].Digest.String()}
	}
	for _, allowed := range []bool{false, true} {
		s, reg, registry := open(t, image.Options{Client: remote.Options{ForeignLayers: allowed, Retries: -1}})
		if _, err := reg.Add("a:1", img); err != nil {
			t.Fatal(err)
		}
		reg.On(b.Layers[0].Digest.String(), imagetest.Status(404))
		_, err = s.Pull(t.Context(), registry+"/a:1", image.PullOptions{})
		if allowed && err != nil || !allowed && (err == nil || !strings.Contains(err.Error(), "foreign layer")) {
			t.Errorf("allowed %v: %v", allowed, err)
		}
	}
}
