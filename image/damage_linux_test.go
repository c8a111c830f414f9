package image_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
)

// change changes one byte of a file in its middle, and neither its size nor its
// times.
func change(t *testing.T, path string) {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	flip(t, path, fi.Size()/2, 1)
}

// flip flips bits of the byte at an offset.
func flip(t *testing.T, path string, at int64, bits byte) {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	b[0] ^= bits
	if err == nil {
		_, err = f.WriteAt(b, at)
	}
	if err = errors.Join(err, f.Close(), os.Chtimes(path, fi.ModTime(), fi.ModTime())); err != nil {
		t.Fatal(err)
	}
}

// find returns the first regular file below dir that satisfies ok.
func find(t *testing.T, dir string, ok func(path string, size int64) bool) string {
	t.Helper()
	var found string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || found != "" {
			return err
		}
		fi, err := d.Info()
		if err == nil && ok(p, fi.Size()) {
			found = p
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatalf("no such file below %s: %v", dir, err)
	}
	return found
}

func aFile(t *testing.T, s *image.Store) string {
	return find(t, filepath.Join(s.Root(), "snapshots/layers"), func(p string, size int64) bool {
		return size > 10 && filepath.Base(p) != "layer.json"
	})
}

func wantClean(t *testing.T, s *image.Store) {
	t.Helper()
	if bad, err := s.Check(t.Context()); err != nil || len(bad) > 0 {
		t.Errorf("check: %q, %v", bad, err)
	}
}

// What is damaged is found, set aside, gone from the store, and brought back by
// the next pull, which fetches nothing that is whole.
func TestRepair(t *testing.T) {
	for name, c := range map[string]struct {
		victim  func(*testing.T, *image.Store, image.Image) string
		says    string
		fetches int
		stays   bool
	}{
		"layer's content": {func(t *testing.T, s *image.Store, _ image.Image) string { return aFile(t, s) }, "not what its blob holds", 0, false},
		"layer's record": {func(_ *testing.T, s *image.Store, img image.Image) string {
			return filepath.Join(s.Root(), "snapshots/layers", img.ChainIDs[1].Encoded(), "layer.json")
		}, "checksum mismatch", 0, false},
		"layer's blob": {func(t *testing.T, s *image.Store, img image.Image) string {
			return find(t, filepath.Join(s.Root(), "content/blobs/sha256"), func(p string, size int64) bool { return size > 2000 })
		}, "digest mismatch", 1, true},
		"manifest": {func(t *testing.T, s *image.Store, img image.Image) string {
			return find(t, filepath.Join(s.Root(), "content/blobs/sha256"), func(p string, _ int64) bool {
				b, err := os.ReadFile(p)
				return err == nil && strings.HasPrefix(string(b), `{"schemaVersion":`)
			})
		}, "digest mismatch", 0, true},
		"config": {func(_ *testing.T, s *image.Store, img image.Image) string {
			return filepath.Join(s.Root(), "content/blobs/sha256", img.ID.Encoded())
		}, "digest mismatch", 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, reg, host := open(t, image.Options{})
			img := pull(t, s, reg, host, "a:1", imagetest.Random(1, 3, 3000))
			wantClean(t, s)
			change(t, c.victim(t, s, img))
			if s, _ = reopen(t, s); s == nil {
				return
			}
			if bad, err := s.Check(t.Context()); err != nil || len(bad) == 0 || !strings.Contains(bad[0], c.says) {
				t.Errorf("check: %q, %v", bad, err)
			}
			if aside, err := s.Repair(t.Context()); err != nil || len(aside) == 0 {
				t.Errorf("repair: %q, %v", aside, err)
			}
			if _, err := s.Get(t.Context(), img.ID.String()); c.stays && err != nil || !c.stays && !errors.Is(err, image.ErrNotFound) {
				t.Errorf("the store claims to hold the image, or not: %v", err)
			}
			if list, err := s.List(t.Context()); err != nil || (len(list) == 1) != c.stays {
				t.Errorf("it is listed, or not: %v, %v", list, err)
			}
			if _, err := s.Prepare(t.Context(), "k", img.ID); c.stays && err != nil || !c.stays && !errors.Is(err, image.ErrNotFound) {
				t.Errorf("prepared, or not: %v", err)
			}
			reg.Requests()
			if _, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{}); err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, r := range reg.Requests() {
				n += strings.Count(r, "/blobs/")
			}
			if n != c.fetches {
				t.Errorf("%d blobs were fetched, want %d", n, c.fetches)
			}
			wantClean(t, s)
			mount(t, s, "k", img, false)
		})
	}
}

// reopen opens the store of s once more: nothing is remembered.
func reopen(t *testing.T, s *image.Store) (*image.Store, error) {
	t.Helper()
	again, err := image.Open(s.Root(), image.Options{NoSync: true})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = again.Close() })
	return again, nil
}

// With VerifyLayers a damaged layer is never mounted: it is set aside when it is
// first used, said so, and the next pull brings it back.
func TestVerifyLayers(t *testing.T) {
	var said strings.Builder
	s, reg, host := open(t, image.Options{})
	img := pull(t, s, reg, host, "a:1", imagetest.Random(1, 3, 3000))
	change(t, aFile(t, s))
	careful, err := image.Open(s.Root(), image.Options{NoSync: true, VerifyLayers: true,
		Log: funcr.New(func(_, args string) { said.WriteString(args) }, funcr.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = careful.Close() })
	if _, err := careful.Prepare(t.Context(), "k", img.ID); !errors.Is(err, image.ErrNotFound) || !strings.Contains(err.Error(), "pull the image again") {
		t.Errorf("prepared: %v", err)
	}
	if !strings.Contains(said.String(), "damaged") {
		t.Errorf("said %q", said.String())
	}
	if _, err := careful.Pull(t.Context(), host+"/a:1", image.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	mount(t, careful, "k", img, false)
	wantClean(t, s)
}

// What was set aside stays for a day, and with it what containers run on.
func TestQuarantine(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	img := pull(t, s, reg, host, "a:1", imagetest.Random(1, 2, 3000))
	root := mount(t, s, "k", img, false)
	victim := aFile(t, s)
	change(t, victim)
	if _, err := s.Repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	aside := func() int {
		list, err := os.ReadDir(filepath.Join(s.Root(), "quarantine"))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	age := func() { // as if a day had passed
		dir := filepath.Join(s.Root(), "quarantine")
		list, _ := os.ReadDir(dir)
		for _, e := range list {
			_, what, _ := strings.Cut(e.Name(), "-")
			if err := os.Rename(filepath.Join(dir, e.Name()), filepath.Join(dir, "1-"+what)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Collect(t.Context()); err != nil || aside() != 1 {
		t.Errorf("%d set aside, %v", aside(), err)
	}
	age()
	if err := s.Collect(t.Context()); err != nil || aside() != 1 {
		t.Errorf("what a snapshot runs on went: %d left, %v", aside(), err)
	}
	if names, err := os.ReadDir(root); err != nil || len(names) != 2 {
		t.Errorf("the mounted root holds %v, %v", names, err)
	}
	if err := errors.Join(image.Unmount(root), s.RemoveSnapshot(t.Context(), "k"), s.Collect(t.Context())); err != nil || aside() != 0 {
		t.Errorf("%d left, %v", aside(), err)
	}
}
