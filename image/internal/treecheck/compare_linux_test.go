package treecheck

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/layer"
)

// compare mounts what both made of an image, once its layers' untimed names have
// equal times, and lists the differences.
func compare(t *testing.T, img imagetest.Image, ours, theirs []string) []string {
	t.Helper()
	for i, l := range img.Layers {
		names, err := untimed(l)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			for _, dir := range []string{ours[i], theirs[i]} {
				ts := []unix.Timespec{{Sec: 1}, {Sec: 1}}
				err := unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, n), ts, unix.AT_SYMLINK_NOFOLLOW)
				if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
					t.Fatalf("%s: %v", n, err)
				}
			}
		}
	}
	diffs, err := layer.Compare(t.Context(), show(t, image.Overlay{}.Mounts("", ours, true)), show(t, plain(theirs)))
	if err != nil {
		t.Fatal(err)
	}
	return diffs
}

// untimed are the names of a layer whose times containerd does not set, or sets
// wrongly: a directory that only names below it have entries for has the time at
// which the last of these was made, and a file in the place of a directory of the
// same layer gets the directory's time.
func untimed(l imagetest.Layer) ([]string, error) {
	stream := l.Tar
	if stream == nil {
		var err error
		if stream, err = imagetest.Archive(l.Files...); err != nil {
			return nil, err
		}
	}
	entries, dirs, names := map[string]bool{}, map[string]bool{}, map[string]bool{}
	r := tar.NewReader(bytes.NewReader(stream))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		n := path.Clean(strings.TrimLeft(h.Name, "/"))
		for p := path.Dir(n); p != "."; p = path.Dir(p) {
			names[p] = true
		}
		entries[n] = true
		if h.Typeflag == tar.TypeDir {
			dirs[n] = true
		} else if dirs[n] {
			names[n] = true
			delete(entries, n)
		}
	}
	maps.DeleteFunc(names, func(n string, _ bool) bool { return entries[n] })
	return slices.Sorted(maps.Keys(names)), nil
}

// plain is how overlayfs shows layers, the lowest first, by itself.
func plain(layers []string) []image.Mount {
	if len(layers) == 1 {
		return []image.Mount{{Type: "bind", Source: layers[0], Options: []string{"ro"}}}
	}
	upward := slices.Clone(layers)
	slices.Reverse(upward)
	return []image.Mount{{Type: "overlay", Source: "overlay", Options: []string{"ro", "index=off", "lowerdir=" + strings.Join(upward, ":")}}}
}

func show(t *testing.T, mounts []image.Mount) string {
	t.Helper()
	target := t.TempDir()
	if err := image.MountAll(mounts, target); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := image.Unmount(target); err != nil {
			t.Error(err)
		}
	})
	return target
}
