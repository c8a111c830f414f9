package archive_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/archive"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

var packings = []imagetest.Compression{imagetest.Gzip, imagetest.Zstd, imagetest.None}

// packed are images of the same layers, one per packing; with one ID, or each
// with its own.
func packed(t *testing.T, oneID bool) (reg *imagetest.Registry, host string, names []string) {
	t.Helper()
	reg = &imagetest.Registry{}
	host, stop, err := reg.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	for _, c := range packings {
		img := imagetest.Random(5, 3, 4000)
		for i := range img.Layers {
			img.Layers[i].Compression = c
		}
		if !oneID {
			img.Config.Author = string(c)
		}
		name := string(c) + ":1"
		if _, err := reg.Add(name, img); err != nil {
			t.Fatal(err)
		}
		names = append(names, host+"/"+name)
	}
	return reg, host, names
}

// exact fails unless an export consists of the blobs that its manifest names,
// each with the content of its digest and of its size there, and no other.
func exact(t *testing.T, s *image.Store, name string) digest.Digest {
	t.Helper()
	e, err := s.Export(t.Context(), name)
	if err != nil {
		t.Fatalf("export %s: %v", name, err)
	}
	defer e.Close()
	var b bytes.Buffer
	if err := e.Blob(t.Context(), e.Manifest, &b); err != nil {
		t.Fatal(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(b.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	want := map[digest.Digest]int64{e.Top.Digest: e.Top.Size, e.Manifest.Digest: e.Manifest.Size, m.Config.Digest: m.Config.Size}
	for _, l := range m.Layers {
		want[l.Digest] = l.Size
	}
	for _, d := range e.Blobs {
		if size, ok := want[d.Digest]; !ok || size != d.Size {
			t.Errorf("%s has the blob %s of %d bytes; its manifest says %d", name, d.Digest, d.Size, size)
		}
		if err := e.Blob(t.Context(), d, &bytes.Buffer{}); err != nil {
			t.Error(err)
		}
		delete(want, d.Digest)
	}
	if len(want) > 0 {
		t.Errorf("%s lacks the blobs %v", name, want)
	}
	return e.Manifest.Digest
}

// savedBoth returns what Save and SaveDir write, and how to load each.
func savedBoth(t *testing.T, s *image.Store, names ...string) map[string]func(to *image.Store) ([]image.Image, error) {
	t.Helper()
	var b bytes.Buffer
	dir := filepath.Join(t.TempDir(), "layout")
	if err := errors.Join(archive.Save(t.Context(), s, &b, names...), archive.SaveDir(t.Context(), s, dir, names...)); err != nil {
		t.Fatal(err)
	}
	return map[string]func(to *image.Store) ([]image.Image, error){
		"tar": func(to *image.Store) ([]image.Image, error) {
			return archive.Load(t.Context(), to, bytes.NewReader(b.Bytes()), archive.LoadOptions{})
		},
		"directory": func(to *image.Store) ([]image.Image, error) {
			return archive.LoadDir(t.Context(), to, dir, archive.LoadOptions{})
		},
	}
}

// Images that share their layers, but not how these are packed, are saved with
// the blobs that their own manifests name, loaded, and saved again.
func TestSaveDifferentlyPacked(t *testing.T) {
	for _, oneID := range []bool{true, false} {
		t.Run(fmt.Sprintf("one ID %t", oneID), func(t *testing.T) {
			_, _, names := packed(t, oneID)
			from := store(t)
			manifests := map[string]digest.Digest{}
			for _, n := range names {
				if _, err := from.Pull(t.Context(), n, image.PullOptions{AllBlobs: true}); err != nil {
					t.Fatal(err)
				}
			}
			for _, n := range names {
				manifests[n] = exact(t, from, n)
			}
			if len(slices.Compact(slices.Sorted(valuesOf(manifests)))) != len(names) {
				t.Fatalf("manifests %v", manifests)
			}
			for _, some := range [][]string{names, names[1:2], {names[2], names[0]}} {
				for way, load := range savedBoth(t, from, some...) {
					to := store(t)
					if _, err := load(to); err != nil {
						t.Fatalf("%s: %v", way, err)
					}
					for _, n := range some {
						if got := exact(t, to, n); got != manifests[n] {
							t.Errorf("%s, %s: loaded the manifest %s, want %s", way, n, got, manifests[n])
						}
					}
				}
			}
		})
	}
}

func valuesOf(m map[string]digest.Digest) func(yield func(digest.Digest) bool) {
	return func(yield func(digest.Digest) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

// A pull fetches no blob of a layer that the store has from elsewhere. Such an
// image is not saved, and the error says how to get what is missing.
func TestSaveRefusesWhatIsNotThere(t *testing.T) {
	_, _, names := packed(t, true)
	s := store(t)
	for _, n := range names[:2] {
		if _, err := s.Pull(t.Context(), n, image.PullOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	first := exact(t, s, names[0])
	err := archive.Save(t.Context(), s, &bytes.Buffer{}, names[1])
	if !errors.Is(err, image.ErrNotFound) || !strings.Contains(err.Error(), "AllBlobs") {
		t.Fatalf("saved an image without its blobs: %v", err)
	}
	t.Run("the ID means the one that is whole", func(t *testing.T) {
		if got := exact(t, s, get(t, s, names[1]).ID.String()); got != first {
			t.Errorf("exported %s, want %s", got, first)
		}
	})
	t.Run("another name is another name of the same", func(t *testing.T) {
		for i, n := range names[:2] {
			tag := fmt.Sprintf("example.com/x:%d", i)
			if err := s.Tag(t.Context(), n, tag); err != nil {
				t.Fatal(err)
			}
			err := archive.Save(t.Context(), s, &bytes.Buffer{}, tag)
			if whole := i == 0; whole != (err == nil) {
				t.Errorf("%s, called %s, saved: %v", n, tag, err)
			}
		}
	})
	if _, err := s.Pull(t.Context(), names[1], image.PullOptions{AllBlobs: true}); err != nil {
		t.Fatal(err)
	}
	second := exact(t, s, names[1])
	if err := s.Remove(t.Context(), names[0]); err != nil { // its layers are the other's, too
		t.Fatal(err)
	}
	if got := exact(t, s, names[1]); got != second {
		t.Errorf("after the other went: %s, want %s", got, second)
	}
}

// One index more that a manifest came through is not in the archive of another.
func TestSaveOneIndex(t *testing.T) {
	reg := &imagetest.Registry{}
	host, stop, err := reg.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	foreign := imagetest.Random(9, 1, 10)
	foreign.Config.OS, foreign.Config.Architecture = "linux", "s390x"
	shared := imagetest.Random(3, 2, 2000)
	_, err1 := reg.Add("alone:1", shared)
	_, err2 := reg.AddIndex("one:1", shared)
	_, err3 := reg.AddIndex("two:1", foreign, shared)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	s := store(t)
	for _, n := range []string{"alone:1", "one:1", "two:1"} {
		if _, err := s.Pull(t.Context(), host+"/"+n, image.PullOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []string{"alone:1", "one:1", "two:1"} {
		exact(t, s, host+"/"+n)
	}
}

// What AllBlobs fetches for layers that are there is verified like any other blob,
// and unpacked nowhere.
func TestAllBlobsUnpacksNothingAgain(t *testing.T) {
	reg, host, names := packed(t, true)
	s := store(t)
	got, err := s.Pull(t.Context(), names[0], image.PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fetched := 0
	_, err = s.Pull(t.Context(), names[1], image.PullOptions{AllBlobs: true, Progress: func(p image.Progress) {
		if p.Phase == image.Unpacking {
			fetched++
		}
		if made, err := filepath.Glob(filepath.Join(s.Root(), "snapshots/ingest/*/layer-*")); err != nil || len(made) > 0 {
			t.Errorf("unpacked into %q, %v", made, err)
		}
	}})
	if err != nil || fetched != len(got.ChainIDs) {
		t.Fatalf("%d layers were fetched: %v", fetched, err)
	}
	exact(t, s, names[1])

	other := imagetest.Random(5, 3, 4000)
	for i := range other.Layers {
		other.Layers[i].Compression = imagetest.Zstd
	}
	other.Layers[0].Files[1].Data = []byte("something else")
	other.EditConfig = func(c *ocispec.Image) { c.RootFS.DiffIDs = got.Config.RootFS.DiffIDs }
	if _, err := reg.Add("lies:1", other); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pull(t.Context(), host+"/lies:1", image.PullOptions{AllBlobs: true}); err == nil || !strings.Contains(err.Error(), "diff ID is") {
		t.Errorf("a layer that is not what the config says: %v", err)
	}
	if bad, err := s.Check(t.Context()); err != nil || len(bad) > 0 {
		t.Errorf("check: %q, %v", bad, err)
	}
}
