package image_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
)

// mount prepares and mounts an image, and undoes both at the test's end.
func mount(t *testing.T, s *image.Store, key string, img image.Image, view bool) string {
	t.Helper()
	do := s.Prepare
	if view {
		do = s.View
	}
	m, err := do(t.Context(), key, img.ID)
	if err != nil {
		t.Fatal(err)
	}
	target := t.TempDir()
	if err := image.MountAll(m, target); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := image.Unmount(target); err != nil {
			t.Error(err)
		}
		if err := image.Unmount(target); err != nil {
			t.Errorf("the second time: %v", err)
		}
		if err := s.RemoveSnapshot(t.Context(), key); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return target
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return "!" + err.Error()
	}
	return string(b)
}

func pull(t testing.TB, s *image.Store, reg *imagetest.Registry, host, name string, img imagetest.Image) image.Image {
	t.Helper()
	if _, err := reg.Add(name, img); err != nil {
		t.Fatal(err)
	}
	got, err := s.Pull(t.Context(), host+"/"+name, image.PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// What one layer removes, replaces and inherits shows in the mounted root.
func TestMountedTree(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	type F = imagetest.File
	img := pull(t, s, reg, host, "a:1", imagetest.Image{Layers: []imagetest.Layer{
		{Files: []F{{Name: "etc/"}, {Name: "etc/a", Data: []byte("1")}, {Name: "etc/b", Data: []byte("1")},
			{Name: "tmp/", Mode: 0o1777}, {Name: "old/"}, {Name: "old/x", Data: []byte("1")}, {Name: "dir/"}, {Name: "dir/y"}}},
		{Compression: imagetest.Zstd, Files: []F{{Name: "etc/.wh.a"}, {Name: "etc/b", Data: []byte("2")}, {Name: "tmp/new", Data: []byte("n")},
			{Name: "old/.wh..wh..opq"}, {Name: "old/z", Data: []byte("2")}, {Name: ".wh.dir"}}},
		{Compression: imagetest.None, Files: []F{{Name: "dir/"}, {Name: "dir/q", Data: []byte("3")}}},
	}})
	for _, view := range []bool{false, true} {
		root := mount(t, s, fmt.Sprintf("k-%v", view), img, view)
		for name, want := range map[string]string{"etc/b": "2", "tmp/new": "n", "old/z": "2", "dir/q": "3"} {
			if got := read(t, root, name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		for _, name := range []string{"etc/a", "old/x", "dir/y"} {
			if got := read(t, root, name); !strings.HasPrefix(got, "!") {
				t.Errorf("%s is there: %q", name, got)
			}
		}
		if fi, err := os.Stat(filepath.Join(root, "tmp")); err != nil || fi.Mode() != os.ModeDir|os.ModeSticky|0o777 {
			t.Errorf("tmp: %v %v", fi.Mode(), err)
		}
		err := os.WriteFile(filepath.Join(root, "etc/w"), []byte("w"), 0o600)
		if (err != nil) != view {
			t.Errorf("writing with view=%v: %v", view, err)
		}
	}
	before, err := s.Usage(t.Context(), "k-false")
	if err != nil || before.Inodes < 3 || before.Bytes == 0 {
		t.Errorf("usage %+v, %v", before, err)
	}
}

// A snapshot shows what was written to it, also after the store is opened anew.
func TestSnapshotSurvives(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	img := pull(t, s, reg, host, "a:1", imagetest.Random(1, 2, 1000))
	root := mount(t, s, "k", img, false)
	if err := os.WriteFile(filepath.Join(root, "w"), []byte("w"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := image.Open(s.Root(), image.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	m, err := again.Prepare(t.Context(), "k", img.ID)
	if err != nil {
		t.Fatal(err)
	}
	second := t.TempDir()
	if err := image.Unmount(root); err != nil {
		t.Fatal(err)
	}
	if err := image.MountAll(m, second); err != nil {
		t.Fatal(err)
	}
	defer image.Unmount(second)
	if got := read(t, second, "w"); got != "w" {
		t.Error(got)
	}
}

// Far more layers than fit in one page of mount options, and none.
func TestManyAndNoLayers(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	var many imagetest.Image
	for i := range 120 {
		many.Layers = append(many.Layers, imagetest.Layer{Compression: imagetest.None,
			Files: []imagetest.File{{Name: fmt.Sprintf("f%d", i)}, {Name: "last", Data: fmt.Append(nil, i)}}})
	}
	root := mount(t, s, "many", pull(t, s, reg, host, "many:1", many), false)
	if got := read(t, root, "last"); got != "119" || strings.HasPrefix(read(t, root, "f0"), "!") {
		t.Errorf("last is %q, f0 %q", got, read(t, root, "f0"))
	}
	root = mount(t, s, "none", pull(t, s, reg, host, "none:1", imagetest.Image{}), false)
	if err := os.WriteFile(filepath.Join(root, "w"), nil, 0o600); err != nil {
		t.Error(err)
	}
	one := pull(t, s, reg, host, "one:1", imagetest.Image{Layers: []imagetest.Layer{imagetest.Program("/x", []byte("x"))}})
	root = mount(t, s, "one", one, true)
	if err := os.WriteFile(filepath.Join(root, "w"), nil, 0o600); err == nil || read(t, root, "x") != "x" {
		t.Errorf("a view of one layer: %v, %q", err, read(t, root, "x"))
	}
}

// A root that is opaque hides all below it, which overlayfs alone would not do.
func TestOpaqueRoot(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	img := pull(t, s, reg, host, "a:1", imagetest.Image{Layers: []imagetest.Layer{
		{Files: []imagetest.File{{Name: "low"}}},
		{Files: []imagetest.File{{Name: ".wh..wh..opq"}, {Name: "high", Data: []byte("h")}}},
		{Files: []imagetest.File{{Name: "top"}}},
	}})
	root := mount(t, s, "k", img, false)
	if read(t, root, "high") != "h" || !strings.HasPrefix(read(t, root, "low"), "!") {
		t.Errorf("high %q, low %q", read(t, root, "high"), read(t, root, "low"))
	}
}

// A root directory with characters that overlayfs gives a meaning to.
func TestRootWithSpecialCharacters(t *testing.T) {
	_, reg, host := open(t, image.Options{})
	s, err := image.Open(filepath.Join(t.TempDir(), `a:b,c\d`), image.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	root := mount(t, s, "k", pull(t, s, reg, host, "a:1", imagetest.Random(1, 3, 100)), false)
	if _, err := os.Stat(filepath.Join(root, "layer2")); err != nil {
		t.Error(err)
	}
}

func TestMountFails(t *testing.T) {
	_, _, _ = open(t, image.Options{})
	target := t.TempDir()
	ok := image.Mount{Type: "tmpfs", Source: "tmpfs"}
	err := image.MountAll([]image.Mount{ok, {Type: "overlay", Source: "overlay", Options: []string{"lowerdir=/nonexistent"}}}, target)
	if err == nil || !strings.Contains(err.Error(), "/nonexistent") {
		t.Errorf("the error names no layer: %v", err)
	}
	if b, _ := os.ReadFile("/proc/self/mountinfo"); strings.Contains(string(b), target) {
		t.Error("something is mounted")
	}
}
