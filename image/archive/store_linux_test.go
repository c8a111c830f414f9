package archive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/archive"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/internal/testutil"
)

func store(t *testing.T) *image.Store {
	t.Helper()
	testutil.RequireRoot(t)
	dir := t.TempDir()
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{dir}})
	s, err := image.Open(dir, image.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if wrong, err := s.Check(context.Background()); err != nil || len(wrong) > 0 {
			t.Errorf("check: %v %v", wrong, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// pulled is a store with an image of each kind.
func pulled(t *testing.T) (s *image.Store, names []string) {
	t.Helper()
	s = store(t)
	reg := &imagetest.Registry{}
	host, stop, err := reg.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	foreign := imagetest.Random(9, 1, 10)
	foreign.Config.OS, foreign.Config.Architecture = "linux", "s390x"
	docker := imagetest.Random(2, 3, 3000)
	docker.Docker = true
	for i := range docker.Layers {
		docker.Layers[i].Compression = imagetest.Gzip
	}
	_, err1 := reg.Add("a:1", imagetest.Random(1, 3, 5000))
	_, err2 := reg.Add("b:1", docker)
	_, err3 := reg.AddIndex("c/d:1", foreign, imagetest.Random(3, 2, 2000))
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"a:1", "b:1", "c/d:1"} {
		if _, err := s.Pull(t.Context(), host+"/"+n, image.PullOptions{}); err != nil {
			t.Fatal(err)
		}
		names = append(names, host+"/"+n)
	}
	return s, names
}

func get(t *testing.T, s *image.Store, name string) image.Image {
	t.Helper()
	img, err := s.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// What is saved and loaded is the same to the byte: IDs, digests, names, and the
// archive that it makes again.
func TestRoundTrip(t *testing.T) {
	from, names := pulled(t)
	var saved bytes.Buffer
	if err := archive.Save(t.Context(), from, &saved, names...); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	if err := archive.SaveDir(t.Context(), from, dir, names...); err != nil {
		t.Fatal(err)
	}
	for way, load := range map[string]func(s *image.Store) ([]image.Image, error){
		"tar": func(s *image.Store) ([]image.Image, error) {
			return archive.Load(t.Context(), s, bytes.NewReader(saved.Bytes()), archive.LoadOptions{})
		},
		"directory": func(s *image.Store) ([]image.Image, error) {
			return archive.LoadDir(t.Context(), s, dir, archive.LoadOptions{})
		},
	} {
		t.Run(way, func(t *testing.T) {
			to := store(t)
			list, err := load(to)
			if err != nil || len(list) != len(names) {
				t.Fatal(list, err)
			}
			for _, n := range names {
				a, b := get(t, from, n), get(t, to, n)
				if a.ID != b.ID || a.Size != b.Size || !slices.Equal(a.Digests, b.Digests) || !slices.Equal(a.Tags, b.Tags) || !slices.Equal(a.ChainIDs, b.ChainIDs) {
					t.Errorf("%s: %+v\nloaded as %+v", n, a, b)
				}
			}
			var again bytes.Buffer
			if err := archive.Save(t.Context(), to, &again, names...); err != nil || !bytes.Equal(saved.Bytes(), again.Bytes()) {
				t.Errorf("saved again: %v; %d bytes, at first %d", err, again.Len(), saved.Len())
			}
		})
	}
}

func TestSaveByID(t *testing.T) {
	from, names := pulled(t)
	want := get(t, from, names[0])
	var b bytes.Buffer
	if err := archive.Save(t.Context(), from, &b, want.ID.String()); err != nil {
		t.Fatal(err)
	}
	to := store(t)
	list, err := archive.Load(t.Context(), to, &b, archive.LoadOptions{Name: "mine:2"})
	if err != nil || len(list) != 1 || list[0].ID != want.ID || !slices.Equal(list[0].Tags, []string{"docker.io/library/mine:2"}) {
		t.Errorf("%+v %v", list, err)
	}
}

func TestSaveRefuses(t *testing.T) {
	from, names := pulled(t)
	if err := archive.Save(t.Context(), from, io.Discard, "absent:1"); !errors.Is(err, image.ErrNotFound) {
		t.Error(err)
	}
	if err := archive.Save(t.Context(), from, io.Discard); err == nil || !strings.Contains(err.Error(), "no image is named") {
		t.Error(err)
	}
	parent := t.TempDir()
	dir := filepath.Join(parent, "full")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "x"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := archive.SaveDir(t.Context(), from, dir, names...); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Error(err)
	}
	gone := filepath.Join(parent, "gone")
	if err := archive.SaveDir(t.Context(), from, gone, names[0], "absent:1"); !errors.Is(err, image.ErrNotFound) {
		t.Error(err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if err := archive.Save(t.Context(), from, full{}, names...); !errors.Is(err, errFull) {
		t.Error(err)
	}
}

var errFull = errors.New("full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// A blob that the disk changed is not given away.
func TestSaveVerifies(t *testing.T) {
	testutil.RequireRoot(t)
	s, err := image.Open(t.TempDir(), image.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, err := imagetest.Random(1, 1, 2000).Build()
	if err != nil {
		t.Fatal(err)
	}
	var reg imagetest.Registry
	host, stop, err := reg.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if _, err := reg.Add("a:1", imagetest.Random(1, 1, 2000)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.Root(), "content/blobs/sha256", b.Layers[0].Digest.Encoded())
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := archive.Save(t.Context(), s, io.Discard, host+"/a:1"); err == nil || !strings.Contains(err.Error(), "digest mismatch") {
		t.Error(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := archive.Save(t.Context(), s, io.Discard, host+"/a:1"); !errors.Is(err, image.ErrNotFound) || !strings.Contains(err.Error(), b.Layers[0].Digest.String()) {
		t.Error(err)
	}
}

func skopeo(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), testutil.RequirePeer(t, "skopeo"), append([]string{"--insecure-policy", "--tmpdir", t.TempDir()}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("skopeo %q: %v\n%s", args, err, stderr.String())
	}
	return string(out)
}

// skopeo reads what we save, by either of its layouts, and finds the same.
func TestSkopeoReads(t *testing.T) {
	testutil.RequirePeer(t, "skopeo")
	from, names := pulled(t)
	for _, name := range names {
		img := get(t, from, name)
		tarFile, dir := filepath.Join(t.TempDir(), "a.tar"), filepath.Join(t.TempDir(), "layout")
		f, err := os.Create(tarFile)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(archive.Save(t.Context(), from, f, name), f.Close(), archive.SaveDir(t.Context(), from, dir, name)); err != nil {
			t.Fatal(err)
		}
		for _, src := range []string{"oci-archive:" + tarFile, "oci:" + dir, "docker-archive:" + tarFile} {
			skopeo(t, "copy", src, "dir:"+filepath.Join(t.TempDir(), "out")) // it verifies every digest
			raw := skopeo(t, "inspect", "--config", "--raw", src)
			if got := img.ID.Algorithm().FromString(raw); got != img.ID {
				t.Errorf("%s as %s has the ID %s, want %s", name, src, got, img.ID)
			}
		}
		e, err := from.Export(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Top.Digest.Algorithm().FromString(skopeo(t, "inspect", "--raw", "oci:"+dir)); got != e.Top.Digest {
			t.Errorf("%s: skopeo reads %s, want %s", name, got, e.Top.Digest)
		}
		_ = e.Close()
	}
}

// We load what skopeo writes: OCI layouts, and the archives of docker save as
// they were before OCI.
func TestSkopeoWrites(t *testing.T) {
	testutil.RequirePeer(t, "skopeo")
	from, names := pulled(t)
	dir := filepath.Join(t.TempDir(), "layout")
	name := names[1] // gzip alone: docker-archive knows nothing newer
	if err := archive.SaveDir(t.Context(), from, dir, name); err != nil {
		t.Fatal(err)
	}
	want := get(t, from, name)
	for _, kind := range []string{"oci-archive", "docker-archive", "oci"} {
		t.Run(kind, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			skopeo(t, "copy", "oci:"+dir, kind+":"+out+":example.com/x:7")
			to := store(t)
			var list []image.Image
			var err error
			if kind == "oci" {
				list, err = archive.LoadDir(t.Context(), to, out, archive.LoadOptions{})
			} else {
				f, ferr := os.Open(out)
				if ferr != nil {
					t.Fatal(ferr)
				}
				defer f.Close()
				list, err = archive.Load(t.Context(), to, f, archive.LoadOptions{})
			}
			if err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			got := list[0]
			if !slices.Equal(got.ChainIDs, want.ChainIDs) || !slices.Contains(got.Tags, "example.com/x:7") {
				t.Errorf("%+v, want %+v", got, want)
			}
			if got.ID != want.ID {
				t.Errorf("ID %s, want %s", got.ID, want.ID)
			}
		})
	}
}
