package image_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/layer"
	"github.com/lifepod/lifepod/image/remote"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// quick retries without much of a wait.
var quick = remote.Options{Backoff: time.Millisecond, Retries: 3}

func reason(err error) string {
	var r interface {
		error
		Reason() string
	}
	if errors.As(err, &r) {
		return r.Reason()
	}
	return ""
}

// checkEmpty fails unless the store holds neither image, nor half-made content.
func checkEmpty(t *testing.T, s *image.Store) {
	t.Helper()
	if list, err := s.List(context.Background()); err != nil || len(list) > 0 {
		t.Errorf("images %v, %v", list, err)
	}
	for _, glob := range []string{"content/ingest/*/blob-*", "content/ingest/*/lease-*", "snapshots/ingest/*/*", "locks/*"} {
		if left, _ := filepath.Glob(filepath.Join(s.Root(), glob)); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	}
}

// Every fault ends in an error that says what was wrong; the store stays as it
// was, and the pull succeeds once the fault is gone.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		path   string
		fault  imagetest.Fault
		is     error
		reason string
		text   string
	}{
		"not found":         {"/manifests/", imagetest.Status(404), remote.ErrNotFound, "", "404"},
		"401":               {"", imagetest.Status(401), remote.ErrUnauthorized, "", "401"},
		"403":               {"/manifests/", imagetest.Status(403), remote.ErrUnauthorized, "", "403"},
		"429":               {"/manifests/", imagetest.Status(429), nil, "", "TOOMANYREQUESTS"},
		"500":               {"/manifests/", imagetest.Status(500), nil, "RegistryUnavailable", "500"},
		"503 of a blob":     {"/blobs/", imagetest.Status(503), nil, "RegistryUnavailable", "503"},
		"manifest digest":   {"/manifests/", imagetest.Corrupt(), remote.ErrInvalid, "", "digest mismatch"},
		"layer digest":      {"/blobs/", onlyLayers(imagetest.Corrupt()), nil, "", "digest mismatch"},
		"config digest":     {"/blobs/", onlyConfig(imagetest.Corrupt()), remote.ErrInvalid, "", "digest mismatch"},
		"truncated layer":   {"/blobs/", onlyLayers(imagetest.Fault(chain(imagetest.NoRange(), imagetest.Truncate(700)))), nil, "RegistryUnavailable", "after 700 of"},
		"short layer":       {"/blobs/", onlyLayers(imagetest.Replace([]byte("short"))), remote.ErrInvalid, "", "the blob has 5 bytes"},
		"manifest no JSON":  {"/manifests/", chain(noDigest, imagetest.Replace([]byte("{"))), nil, "", "invalid manifest"},
		"huge manifest":     {"/manifests/", imagetest.Replace(make([]byte, 9<<20)), remote.ErrInvalid, "", "more than 8388608 bytes"},
		"connection broken": {"/manifests/", imagetest.Truncate(1), nil, "RegistryUnavailable", "EOF"},
		"redirect to loop":  {"/manifests/", selfRedirect, nil, "RegistryUnavailable", "redirects"},
	} {
		t.Run(name, func(t *testing.T) {
			s, reg, host := open(t, image.Options{Client: quick})
			if _, err := reg.Add("a:1", imagetest.Random(1, 3, 3000)); err != nil {
				t.Fatal(err)
			}
			reg.On(c.path, c.fault)
			_, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{})
			if err == nil || c.is != nil && !errors.Is(err, c.is) || reason(err) != c.reason || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %v, reason %q; want %v, %q, a text with %q", err, reason(err), c.is, c.reason, c.text)
			}
			checkEmpty(t, s)
			reg.Heal()
			if _, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{}); err != nil {
				t.Errorf("after the fault: %v", err)
			}
		})
	}
}

func chain(a, b imagetest.Fault) imagetest.Fault {
	return func(next http.Handler) http.Handler { return a(b(next)) }
}

// noDigest takes the digest out of the answer.
func noDigest(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(headerless{w}, r)
	})
}

type headerless struct{ http.ResponseWriter }

func (h headerless) WriteHeader(code int) {
	h.Header().Del("Docker-Content-Digest")
	h.ResponseWriter.WriteHeader(code)
}

func selfRedirect(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	})
}

// onlyConfig applies f to the first blob that is asked for, which is the config.
func onlyConfig(f imagetest.Fault) imagetest.Fault { return imagetest.Times(1, f) }

func onlyLayers(f imagetest.Fault) imagetest.Fault {
	var mu sync.Mutex
	seen := false
	return func(next http.Handler) http.Handler {
		mu.Lock()
		defer mu.Unlock()
		if !seen {
			seen = true
			return next
		}
		return f(next)
	}
}

// A registry that fails now and then is asked again, and a blob goes on where
// it broke off.
func TestRetries(t *testing.T) {
	for name, f := range map[string]imagetest.Fault{
		"500 twice":          imagetest.Times(2, imagetest.Status(500)),
		"429 once":           imagetest.Times(1, imagetest.Status(429)),
		"broken off":         imagetest.Truncate(500),
		"broken, no ranges":  chain(imagetest.NoRange(), imagetest.Times(3, imagetest.Truncate(500))),
		"slow":               imagetest.Slow(1000, time.Millisecond),
		"redirected to self": imagetest.Times(1, selfRedirect),
	} {
		t.Run(name, func(t *testing.T) {
			s, reg, host := open(t, image.Options{Client: quick})
			if _, err := reg.Add("a:1", imagetest.Random(1, 3, 3000)); err != nil {
				t.Fatal(err)
			}
			reg.On("/blobs/", f)
			if _, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAuthentication(t *testing.T) {
	good := remote.Auth{Username: "user", Password: "pass-word"}
	for name, c := range map[string]struct {
		fault imagetest.Fault
		auth  remote.Auth
		ok    bool
	}{
		"basic":                 {imagetest.Basic("user", "pass-word"), good, true},
		"basic, wrong":          {imagetest.Basic("user", "other"), good, false},
		"basic, anonymous":      {imagetest.Basic("user", "pass-word"), remote.Auth{}, false},
		"token":                 {imagetest.Token("user", "pass-word"), good, true},
		"token, wrong password": {imagetest.Token("user", "other"), good, false},
		"token, anonymous":      {imagetest.Token("", ""), remote.Auth{}, true},
		"token, not anonymous":  {imagetest.Token("user", "pass-word"), remote.Auth{}, false},
		"not asked for":         {imagetest.Times(0, nil), good, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, reg, host := open(t, image.Options{Client: quick})
			if _, err := reg.Add("a:1", imagetest.Random(1, 1, 10)); err != nil {
				t.Fatal(err)
			}
			reg.On("", c.fault)
			_, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{Auth: c.auth})
			if (err == nil) != c.ok || err != nil && !errors.Is(err, remote.ErrUnauthorized) {
				t.Errorf("%v", err)
			}
			if err != nil && (strings.Contains(err.Error(), "pass-word") || strings.Contains(err.Error(), "dXNlcjpwYXNzLXdvcmQ=")) {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}

// A blob may lie on another host; credentials do not go there, and no error
// shows the signature in its URL.
func TestRedirectToAnotherHost(t *testing.T) {
	s, reg, host := open(t, image.Options{Client: quick})
	if _, err := reg.Add("a:1", imagetest.Random(1, 2, 100)); err != nil {
		t.Fatal(err)
	}
	fail := false
	var leaked []string
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("Authorization"); a != "" {
			leaked = append(leaked, a)
		}
		if fail {
			imagetest.Deny(w, 403, "DENIED", "no")
			return
		}
		r.SetBasicAuth("user", "pass-word")
		reg.Heal()
		reg.ServeHTTP(w, r)
	}))
	defer storage.Close()
	addr := storage.Listener.Addr().String()
	for _, fail = range []bool{true, false} {
		reg.Heal()
		reg.On("", imagetest.Basic("user", "pass-word"))
		reg.On("/blobs/", imagetest.Redirect(addr))
		_, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{Auth: remote.Auth{Username: "user", Password: "pass-word"}})
		if (err != nil) != fail || err != nil && strings.Contains(err.Error(), "signature=secret") {
			t.Errorf("fail=%v: %v", fail, err)
		}
	}
	if len(leaked) > 0 {
		t.Errorf("another host was sent %q", leaked)
	}
}

// Nothing is sent in the clear to a host that is not this machine.
func TestPlainHTTPOnlyToLoopback(t *testing.T) {
	var asked []string
	dial := &http.Transport{DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
		asked = append(asked, addr)
		return nil, errors.New("no network here")
	}}
	s, _, _ := open(t, image.Options{Client: remote.Options{Transport: dial, Retries: -1}})
	for _, host := range []string{"10.0.0.1", "192.168.7.7:80", "example.com:80"} {
		asked = nil
		_, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{})
		if err == nil || len(asked) != 1 {
			t.Errorf("%s: dialled %q: %v", host, asked, err)
		}
	}
	if _, err := s.Pull(t.Context(), "10.0.0.1/a:1", image.PullOptions{PlainHTTP: true}); err == nil || len(asked) != 3 {
		t.Errorf("with PlainHTTP: dialled %q: %v", asked, err)
	}
}

func TestRegistryNotThere(t *testing.T) {
	s, _, _ := open(t, image.Options{Client: quick})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	l.Close()
	_, err = s.Pull(t.Context(), host+"/a:1", image.PullOptions{})
	if reason(err) != image.ReasonRegistryUnavailable {
		t.Errorf("%v: reason %q", err, reason(err))
	}
}

// A registry that goes silent is given up, at whatever point; a caller that goes
// away is let go at once.
func TestStall(t *testing.T) {
	for _, path := range []string{"/v2/", "/manifests/", "/blobs/"} {
		t.Run(path, func(t *testing.T) {
			s, reg, host := open(t, image.Options{Client: remote.Options{Stall: 100 * time.Millisecond, Backoff: time.Millisecond}})
			if _, err := reg.Add("a:1", imagetest.Random(1, 3, 3000)); err != nil {
				t.Fatal(err)
			}
			hang := func(http.Handler) http.Handler {
				return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			}
			if path == "/blobs/" {
				hang = imagetest.Stall(600)
			}
			reg.On(path, hang)
			_, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{})
			if !errors.Is(err, remote.ErrStalled) || reason(err) != image.ReasonRegistryUnavailable {
				t.Errorf("%v, reason %q", err, reason(err))
			}
			checkEmpty(t, s)
			patient, err := image.Open(t.TempDir(), image.Options{NoSync: true})
			if err != nil {
				t.Fatal(err)
			}
			defer patient.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := patient.Pull(ctx, host+"/a:1", image.PullOptions{}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a caller that goes away: %v", err)
			}
			checkEmpty(t, patient)
		})
	}
}

// Layers that attack end the pull and leave nothing.
func TestEvilLayers(t *testing.T) {
	type F = imagetest.File
	for name, c := range map[string]struct {
		files []F
		is    error
	}{
		"dot dot":       {[]F{{Name: "../../../../evil", Data: []byte("x")}}, layer.ErrUnsafe},
		"hard link":     {[]F{{Name: "x", Type: '1', Link: "../../store.lock"}}, layer.ErrUnsafe},
		"symlinked out": {[]F{{Name: "a", Link: "/../../.."}, {Name: "a/evil", Data: []byte("x")}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, reg, host := open(t, image.Options{})
			if _, err := reg.Add("a:1", imagetest.Image{Layers: []imagetest.Layer{{Files: c.files}}}); err != nil {
				t.Fatal(err)
			}
			_, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{})
			if !errors.Is(err, c.is) || c.is == nil && err != nil {
				t.Errorf("%v", err)
			}
			if c.is != nil {
				checkEmpty(t, s)
			}
			for _, up := range []string{".", "..", "snapshots", "snapshots/ingest", "snapshots/layers"} {
				if _, err := os.Lstat(filepath.Join(s.Root(), up, "evil")); err == nil {
					t.Errorf("the layer wrote to %s", up)
				}
			}
		})
	}
}

// What manifests and configs say is held against what there is.
func TestDishonestImages(t *testing.T) {
	ok := imagetest.Random(1, 2, 500)
	for name, c := range map[string]struct {
		edit func(*imagetest.Image)
		text string
	}{
		"diff ID": {func(i *imagetest.Image) {
			i.EditConfig = func(c *ocispec.Image) { c.RootFS.DiffIDs[1] = digest.FromString("x") }
		}, "diff ID is"},
		"number of diff IDs": {func(i *imagetest.Image) {
			i.EditConfig = func(c *ocispec.Image) { c.RootFS.DiffIDs = c.RootFS.DiffIDs[:1] }
		}, "1 diff IDs for 2 layers"},
		"diff ID no digest": {func(i *imagetest.Image) { i.EditConfig = func(c *ocispec.Image) { c.RootFS.DiffIDs[0] = "../../x" } }, "diff ID"},
		"layer size":        {func(i *imagetest.Image) { i.EditManifest = func(m *ocispec.Manifest) { m.Layers[0].Size-- } }, "the manifest says"},
		"layer digest": {func(i *imagetest.Image) {
			i.EditManifest = func(m *ocispec.Manifest) { m.Layers[0].Digest = "sha256:../../../x" }
		}, "invalid"},
		"architecture": {func(i *imagetest.Image) { i.Config.Architecture = "sparc" }, "the image is for linux/sparc, not for linux/"},
		"artifact": {func(i *imagetest.Image) {
			i.EditManifest = func(m *ocispec.Manifest) { m.Config.MediaType = "application/vnd.wasm" }
		}, `artifact of type "application/vnd.wasm"`},
		"schema 1":   {func(i *imagetest.Image) { i.EditManifest = func(m *ocispec.Manifest) { m.SchemaVersion = 1 } }, "schema 1"},
		"not packed": {func(i *imagetest.Image) { i.Layers[0].Packed = []byte("\x1f\x8bnot gzip") }, "decompress"},
		"not tar":    {func(i *imagetest.Image) { i.Layers[0].Tar = []byte(strings.Repeat("not tar", 500)) }, "tar"},
		"media type": {func(i *imagetest.Image) {
			i.EditManifest = func(m *ocispec.Manifest) { m.MediaType = ocispec.MediaTypeImageIndex }
		}, "it says it is"},
		"foreign": {func(i *imagetest.Image) {
			i.EditManifest = func(m *ocispec.Manifest) {
				m.Layers[0].MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
				m.Layers[0].URLs = []string{"http://example.com"}
			}
		}, "foreign layer"},
	} {
		t.Run(name, func(t *testing.T) {
			s, reg, host := open(t, image.Options{Client: quick})
			img := ok
			img.Layers = append([]imagetest.Layer(nil), ok.Layers...)
			c.edit(&img)
			if _, err := reg.Add("a:1", img); err != nil {
				t.Fatal(err)
			}
			_, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{})
			if err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, want a text with %q", err, c.text)
			}
			checkEmpty(t, s)
		})
	}
}

func TestIndex(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	mine, other := imagetest.Random(1, 1, 10), imagetest.Random(2, 1, 10)
	other.Config.Architecture = "s390x"
	top, err := reg.AddIndex("a:1", other, mine)
	if err != nil {
		t.Fatal(err)
	}
	img, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{})
	if err != nil || img.Config.Architecture == "s390x" || img.Digests[0] != host+"/a@"+top.String() {
		t.Errorf("%+v, %v", img, err)
	}
	foreign, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{Platform: &ocispec.Platform{OS: "linux", Architecture: "s390x"}})
	if err != nil || foreign.Config.Architecture != "s390x" {
		t.Errorf("%+v, %v", foreign, err)
	}
	if _, err := reg.AddIndex("b:1", other); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pull(t.Context(), host+"/b:1", image.PullOptions{}); err == nil || !strings.Contains(err.Error(), "it has linux/s390x") {
		t.Errorf("no image for this platform: %v", err)
	}
}

func TestDockerImage(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	img := imagetest.Random(1, 2, 100)
	img.Docker = true
	if got := pull(t, s, reg, host, "a:1", img); len(got.ChainIDs) != 2 {
		t.Errorf("%+v", got)
	}
}

// An image that is there costs one request.
func TestSecondPull(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	img := pull(t, s, reg, host, "a:1", imagetest.Random(1, 3, 1000))
	reg.Requests()
	if _, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := reg.Requests(); len(got) != 1 || !strings.HasPrefix(got[0], "HEAD ") {
		t.Errorf("asked for %q", got)
	}
	// Lost layers are unpacked again from the blobs, which are not fetched again.
	for _, c := range img.ChainIDs {
		if err := os.RemoveAll(filepath.Join(s.Root(), "snapshots/layers", c.Encoded())); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, r := range reg.Requests() {
		if strings.Contains(r, "/blobs/") {
			t.Errorf("asked for %q", r)
		}
	}
	mount(t, s, "k", img, false)
}

// A blob that changed on the disk is fetched again, never used.
func TestCorruptLocalBlob(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	img := pull(t, s, reg, host, "a:1", imagetest.Random(1, 1, 5000))
	if err := os.RemoveAll(filepath.Join(s.Root(), "snapshots/layers", img.ChainIDs[0].Encoded())); err != nil {
		t.Fatal(err)
	}
	blobs, _ := filepath.Glob(filepath.Join(s.Root(), "content/blobs/sha256/*"))
	for _, p := range blobs {
		if b, err := os.ReadFile(p); err == nil && len(b) > 3000 {
			b[len(b)/2] ^= 1
			if err := os.WriteFile(p, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	mount(t, s, "k", img, false)
}

// Many pulls at once of images that share layers fetch each blob once.
func TestConcurrentPulls(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	other, err := image.Open(s.Root(), image.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	base := imagetest.Random(1, 3, 2000)
	var names []string
	for i := range 5 {
		img := imagetest.Random(uint64(i+2), 2, 500)
		img.Layers = append(append([]imagetest.Layer(nil), base.Layers[:1+i%3]...), img.Layers...)
		img.Layers = append(img.Layers, imagetest.Layer{}, imagetest.Layer{}) // one blob twice
		name := string(rune('a'+i)) + ":1"
		if _, err := reg.Add(name, img); err != nil {
			t.Fatal(err)
		}
		names = append(names, host+"/"+name)
	}
	var wg sync.WaitGroup
	for i := range 30 {
		st := []*image.Store{s, other}[i%2]
		wg.Go(func() {
			if _, err := st.Pull(t.Context(), names[i%len(names)], image.PullOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if list, err := s.List(t.Context()); err != nil || len(list) != 5 {
		t.Fatalf("%d images, %v", len(list), err)
	}
	seen := map[string]int{}
	for _, r := range reg.Requests() {
		if _, id, ok := strings.Cut(r, "/blobs/"); ok {
			seen[id]++
		}
	}
	for id, n := range seen {
		if n > 1 {
			t.Errorf("%s was fetched %d times", id, n)
		}
	}
}

// Who only tells the digest of what others have here does not get it: the bytes
// are asked for, also when it had an image of its own under the name before.
func TestDigestIsNoCredential(t *testing.T) {
	s, reg, host := open(t, image.Options{Client: quick})
	pull(t, s, reg, host, "theirs:1", imagetest.Random(1, 2, 500))
	pull(t, s, reg, host, "mine:1", imagetest.Random(2, 1, 500))
	theirs, err := s.Get(t.Context(), host+"/theirs:1")
	if err != nil {
		t.Fatal(err)
	}
	_, top, _ := strings.Cut(theirs.Digests[0], "@")
	reg.On("", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				imagetest.Deny(w, 404, "MANIFEST_UNKNOWN", "")
				return
			}
			w.Header().Set("Docker-Content-Digest", top)
		})
	})
	for _, name := range []string{"mine:1", "new:1", "mine@" + top} {
		if img, err := s.Pull(t.Context(), host+"/"+name, image.PullOptions{}); !errors.Is(err, remote.ErrNotFound) {
			t.Errorf("%s: %v, %v", name, img.ID, err)
		}
	}
}

func TestVerify(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	if _, err := reg.Add("a:1", imagetest.Random(1, 1, 10)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{Verify: image.VerifierFunc(func(_ context.Context, m image.Manifest) error {
		if digest.FromBytes(m.Raw).String() != m.Manifest {
			t.Errorf("%s is not the digest of what came", m.Manifest)
		}
		return errors.New("no signature")
	})})
	if reason(err) != image.ReasonSignature || !strings.Contains(err.Error(), "no signature") {
		t.Errorf("%v, reason %q", err, reason(err))
	}
	checkEmpty(t, s)
}
