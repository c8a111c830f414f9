package layer_test

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/layer"
	"github.com/lifepod/lifepod/internal/testutil"
)

// place is a directory with a canary beside the roots that layers are unpacked
// into.
type place struct {
	dir    string
	canary *imagetest.Canary
}

func newPlace(t testing.TB) place {
	t.Helper()
	testutil.RequireRoot(t)
	dir := t.TempDir()
	return place{dir, imagetest.NewCanary(t, filepath.Join(dir, "canary"))}
}

// fuzzLimits keep one execution short.
var fuzzLimits = layer.Limits{Entries: 1000, Unpacked: 1 << 20}

// try unpacks a stream as a layer above an empty one, and merges it, in every
// way, and checks that nothing happened outside.
func (p place) try(t *testing.T, b []byte) {
	t.Helper()
	for i, o := range []layer.Options{{}, {Unprivileged: true}, {Lowest: true}} {
		o.Limits = fuzzLimits
		roots := []string{filepath.Join(p.dir, "below"), filepath.Join(p.dir, "root"), filepath.Join(p.dir, "merged")}
		for _, r := range roots {
			if err := os.Mkdir(r, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		res, err := layer.Apply(context.Background(), roots[1], bytes.NewReader(b), o)
		p.canary.Check(t)
		if err == nil {
			if err := layer.Inherit(roots[1], res.Implicit, roots[:1], o); err != nil {
				t.Errorf("%d: inherit: %v", i, err)
			}
			if err := layer.Merge(context.Background(), roots[2], roots[:2], o); err != nil {
				t.Errorf("%d: merge: %v", i, err)
			}
			p.canary.Check(t)
		}
		for _, r := range roots {
			if err := os.RemoveAll(r); err != nil {
				t.Fatal(err)
			}
		}
		p.canary.Check(t)
	}
}

// FuzzApply feeds arbitrary bytes.
func FuzzApply(f *testing.F) {
	p := newPlace(f)
	for seed := range uint64(4) {
		for _, l := range imagetest.RandomTree(seed, 2).Layers {
			files := l.Files[:min(8, len(l.Files))]
			for i := range files { // small: what is mutated are headers
				files[i].Data = files[i].Data[:min(20, len(files[i].Data))]
			}
			b, err := imagetest.Archive(files...)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { p.try(t, b) })
}

// FuzzApplyEntries makes entries out of bytes, which lie about where they belong
// in all ways at once: arbitrary bytes seldom are a tar.
func FuzzApplyEntries(f *testing.F) {
	p := newPlace(f)
	f.Add([]byte("\x02\x01\x05\x00\x03\x01\x00\x00\x00\x06\x00\x00"))
	f.Add([]byte("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16"))
	f.Add([]byte(strings.Repeat("\x02\x07\x01\x01\x00\x07\x02\x05", 5)))
	f.Fuzz(func(t *testing.T, b []byte) {
		stream, err := imagetest.Archive(p.entries(b)...)
		if err != nil {
			t.Skip() // a name that tar cannot hold
		}
		p.try(t, stream)
	})
}

// entries reads a list of them: a kind, a name and a target each.
func (p place) entries(b []byte) []imagetest.File {
	next := func() int {
		if len(b) == 0 {
			return 0
		}
		n := int(b[0])
		b = b[1:]
		return n
	}
	parts := []string{
		"a", "b", "c", "..", ".", "", ".wh.a", ".wh.b", ".wh...", ".wh..", ".wh..wh..opq", "canary", "f", "d",
		"..", "..", p.canary.Dir, "proc/self/root", "proc/self/cwd", ".wh..wh.aufs", "\xff\n",
	}
	name := func() string {
		var list []string
		for range next() % 6 {
			list = append(list, parts[next()%len(parts)])
		}
		return strings.Join(list, "/")
	}
	kinds := []byte{tar.TypeReg, tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeChar, tar.TypeBlock, tar.TypeFifo, tar.TypeSymlink}
	var files []imagetest.File
	for len(b) > 0 && len(files) < 40 {
		k := next()
		e := imagetest.File{Type: kinds[k%len(kinds)], Name: name(), Mode: 0o777, ModTime: time.Unix(int64(k), 0)}
		switch e.Type {
		case tar.TypeReg:
			e.Data, e.Sparse = bytes.Repeat([]byte{byte(next())}, 1+k*4), k > 200
		case tar.TypeSymlink, tar.TypeLink:
			e.Link = name()
		case tar.TypeChar, tar.TypeBlock:
			e.Major, e.Minor = int64(next()), int64(next())
		}
		if k > 128 {
			e.UID, e.GID = k, next()
			e.Xattrs = map[string]string{"user.a": "b", "trusted.overlay.opaque": "y", "trusted.overlay.redirect": "/canary"}
		}
		files = append(files, e)
	}
	return files
}

// TestSwappedWhileUnpacking (CVE-2018-15664, CVE-2025-47290): somebody else, who
// should not be there, changes a directory for a link to outside all the time.
func TestSwappedWhileUnpacking(t *testing.T) {
	p := newPlace(t)
	root := filepath.Join(p.dir, "root")
	if err := os.MkdirAll(filepath.Join(root, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(p.canary.Dir, filepath.Join(root, "x")); err != nil {
		t.Fatal(err)
	}
	var files []imagetest.File
	for i := range 200 {
		name := "d/n" + string(rune('a'+i%26)) + "/f"
		files = append(files, imagetest.File{Name: name, Data: []byte("x")}, imagetest.File{Name: "d/f", Data: []byte("x"), Mode: 0o777},
			imagetest.File{Name: "d/.wh.l"}, imagetest.File{Name: "e" + string(rune('a'+i%26)), Link: "d"}, imagetest.File{Name: "d/d/", Mode: 0o777})
	}
	b, err := imagetest.Archive(files...)
	if err != nil {
		t.Fatal(err)
	}
	stop, done, swaps := make(chan struct{}), make(chan struct{}), 0
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, filepath.Join(root, "d"), unix.AT_FDCWD, filepath.Join(root, "x"), unix.RENAME_EXCHANGE)
				swaps++
			}
		}
	}()
	for range 10 { // most end early: the name is a link inside, and nothing is there
		_, _ = layer.Apply(t.Context(), root, bytes.NewReader(b), layer.Options{})
		p.canary.Check(t)
	}
	close(stop)
	<-done
	p.canary.Check(t)
	if swaps < 100 {
		t.Errorf("only %d swaps", swaps)
	}
}
