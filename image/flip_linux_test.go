package image_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/remote"
)

// state is what a user of the store sees of it.
func state(t *testing.T, s *image.Store) (any, error) {
	list, err := s.List(t.Context())
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].LastUsed, list[i].Since = list[i].LastUsed.UTC(), list[i].Since.UTC()
	}
	keys, err := s.Snapshots(t.Context())
	if err != nil {
		return nil, err
	}
	var mounts [][]image.Mount
	for _, img := range list {
		m, err := s.Prepare(t.Context(), "k-"+img.ID.Encoded()[:8], img.ID)
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, m)
	}
	return []any{list, keys, mounts}, nil
}

// kinds are those of the files that a store at rest holds. What is committed
// content must be found damaged; the rest may be without effect.
var kinds = map[string]bool{
	"index": true, "manifest": true, "config": true, "layer's blob": true, "layer's record": true, "layer's file": true, "snapshot's record": true,
	"meta.db": false, "meta.lock": false, "form": false, "boot": false, "beginning of a blob": false,
}

func kindOf(t *testing.T, root, path string) string {
	t.Helper()
	rel, err := filepath.Rel(root, path)
	if err != nil {
		t.Fatal(err)
	}
	for pattern, kind := range map[string]string{
		"content/ingest/partial/*": "beginning of a blob", "snapshots/layers/*/layer.json": "layer's record", "snapshots/keys/*/snapshot.json": "snapshot's record",
	} {
		if ok, _ := filepath.Match(pattern, rel); ok {
			return kind
		}
	}
	switch {
	case strings.HasPrefix(rel, "snapshots/layers/"):
		return "layer's file"
	case !strings.HasPrefix(rel, "content/blobs/"):
		return rel
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for key, kind := range map[string]string{`"manifests":`: "index", `"layers":`: "manifest", `"rootfs":`: "config"} {
		if b[0] == '{' && strings.Contains(string(b), key) {
			return kind
		}
	}
	return "layer's blob"
}

// atRest is a store that nobody has open, with a file of every kind.
func atRest(t *testing.T) *image.Store {
	t.Helper()
	s, reg, host := open(t, image.Options{Client: remote.Options{Retries: -1}})
	if _, err := reg.AddIndex("d:1", imagetest.Random(3, 1, 300)); err != nil {
		t.Fatal(err)
	}
	images := []image.Image{pull(t, s, reg, host, "b:1", imagetest.Random(0, 2, 500)), pull(t, s, reg, host, "b/c:2", imagetest.Random(1, 2, 500))}
	img, err := s.Pull(t.Context(), host+"/d:1", image.PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range append(images, img) {
		if _, err := s.Prepare(t.Context(), "k-"+img.ID.Encoded()[:8], img.ID); err != nil {
			t.Fatal(err)
		}
	}
	broken(t, s, reg, host+"/a:1", single(t, reg, 10_000), 3_000)
	if err := errors.Join(s.Collect(t.Context()), s.Close()); err != nil {
		t.Fatal(err)
	}
	return s
}

// A bit that flips in any file of the store is found, or, where that is allowed,
// changes nothing that anybody sees. LIFEPOD_FLIPS sets how many are flipped in
// each file.
func TestBitFlips(t *testing.T) {
	s := atRest(t)
	before, err := state(t, s)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]string{}
	err = filepath.WalkDir(s.Root(), func(p string, d fs.DirEntry, err error) error {
		if fi, ierr := d.Info(); err == nil && ierr == nil && d.Type().IsRegular() && fi.Size() > 0 {
			kind := kindOf(t, s.Root(), p)
			files[kind] = append(files[kind], p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for kind := range files {
		if _, ok := kinds[kind]; !ok {
			t.Errorf("a kind of files that the test knows nothing of: %q", files[kind])
		}
	}
	for kind, always := range kinds {
		t.Run(kind, func(t *testing.T) {
			if len(files[kind]) == 0 {
				t.Fatal("the store has no such file")
			}
			seed := rand.Uint64()
			r, seen, unseen := rand.New(rand.NewPCG(seed, 0)), 0, 0
			for _, p := range files[kind] {
				for range flips(kind) {
					how, ok := flipOne(t, s, r, p, before)
					if how != "" || always && !ok {
						t.Errorf("seed %d: a bit of %s: not found: %s", seed, strings.TrimPrefix(p, s.Root()), how)
					}
					if ok {
						seen++
					} else {
						unseen++
					}
				}
			}
			t.Logf("%d files: %d flips were found, %d had no effect", len(files[kind]), seen, unseen)
		})
	}
	wantClean(t, s)
}

// flipOne flips a bit, looks, and makes the file what it was.
func flipOne(t *testing.T, s *image.Store, r *rand.Rand, p string, before any) (different string, ok bool) {
	t.Helper()
	fi, err := os.Stat(p)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	at, bit := r.Int64N(fi.Size()), byte(1)<<r.IntN(8)
	flip(t, p, at, bit)
	if different, ok = found(t, s, before); different != "" {
		different = fmt.Sprintf("bit %#x of byte %d: %s", bit, at, different)
	}
	// What was set aside is no longer there.
	if err := errors.Join(os.WriteFile(p, whole, fi.Mode()), os.Chtimes(p, fi.ModTime(), fi.ModTime())); err != nil {
		t.Fatal(err)
	}
	return different, ok
}

func flips(kind string) int {
	n, err := strconv.Atoi(os.Getenv("LIFEPOD_FLIPS"))
	if err != nil {
		n = 1
	}
	if kind == "meta.db" {
		n *= 20
	}
	return n
}

// found says whether Check, or a call before it, finds something wrong, and if
// not, what is different.
func found(t *testing.T, s *image.Store, before any) (different string, ok bool) {
	again, err := image.Open(s.Root(), image.Options{NoSync: true})
	if err != nil {
		return "", true
	}
	defer again.Close()
	if aside, err := filepath.Glob(filepath.Join(s.Root(), "quarantine/*")); err != nil || len(aside) > 0 {
		if err := os.RemoveAll(aside[0]); err != nil {
			t.Error(err)
		}
		return "", true
	}
	if bad, err := again.Check(t.Context()); err != nil || len(bad) > 0 {
		return "", true
	}
	after, err := state(t, again)
	if err != nil {
		return "", true
	}
	if !reflect.DeepEqual(before, after) {
		return fmt.Sprintf("the store shows\n%v\nand did show\n%v", after, before), false
	}
	return "", false
}

// A bit that flips in what a pull has half made is found, too, or is of no
// effect on what it makes.
func TestBitFlipsUnderWay(t *testing.T) {
	first := imagetest.Random(7, 1, 400_000).Layers[0].Files[1].Data
	for kind, c := range map[string]struct {
		pattern string
		whole   func(b []byte) bool // says that the pull is done with it
		says    string              // of Check after the pull; empty if there is nothing to say
	}{
		"lease":        {"content/ingest/*/lease-*", func([]byte) bool { return true }, ""},
		"blob":         {"content/ingest/partial/*", func(b []byte) bool { return len(b) > 20_000 }, "digest mismatch"},
		"layer's file": {"snapshots/ingest/*/layer-*/fs/layer0/d*/f1", func(b []byte) bool { return bytes.Equal(b, first) }, "not what its blob holds"},
	} {
		t.Run(kind, func(t *testing.T) {
			s, reg, host := open(t, image.Options{})
			blob := single(t, reg, 400_000)
			reg.On(blob.Digest.String(), imagetest.Slow(5_000, time.Millisecond))
			flipped := false
			img, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{Progress: func(image.Progress) {
				found, _ := filepath.Glob(filepath.Join(s.Root(), c.pattern))
				if flipped || len(found) != 1 {
					return
				}
				if b, err := os.ReadFile(found[0]); err != nil || !c.whole(b) {
					return
				}
				flip(t, found[0], 10, 1)
				flipped = true
				if err := s.Collect(t.Context()); (err != nil) != (kind == "lease") || err != nil && !strings.Contains(err.Error(), "lease: ") {
					t.Errorf("collect meanwhile: %v", err)
				}
			}})
			if err != nil || !flipped {
				t.Fatalf("flipped: %v, %v", flipped, err)
			}
			bad, err := s.Check(t.Context())
			if err != nil || len(bad) == 0 != (c.says == "") || len(bad) > 0 && !strings.Contains(bad[0], c.says) {
				t.Errorf("check: %q, %v", bad, err)
			}
			if _, err := s.Repair(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{}); err != nil {
				t.Error(err)
			}
			wantClean(t, s)
			mount(t, s, "k", img, false)
		})
	}
}
