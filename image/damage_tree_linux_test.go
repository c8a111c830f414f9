package image_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
)

// Check compares a layer with what its blob unpacks to, not only the contents of
// its files: whatever of a committed tree was changed is found, and comes back with
// the next pull, which fetches nothing. An upper directory, which is a container's
// own, may hold anything.
func TestChangedTree(t *testing.T) {
	type F = imagetest.File
	img := imagetest.Image{Layers: []imagetest.Layer{{Files: []F{
		{Name: "d/"}, {Name: "d/f", Data: []byte("content"), Mode: 0o4755, Xattrs: map[string]string{"user.a": "1"}},
		{Name: "l", Link: "d/f"}, {Name: "h", Link: "d/f", Type: '1'}, {Name: "n", Type: '3', Major: 1, Minor: 3}, {Name: "empty"},
	}}, {Files: []F{{Name: ".wh.empty"}, {Name: "d/"}, {Name: "d/.wh..wh..opq"}}}}}
	for name, change := range map[string]func(lower, upper string) error{
		"a byte":             func(l, _ string) error { return os.WriteFile(l+"/d/f", []byte("c0ntent"), 0) },
		"a byte more":        func(l, _ string) error { return os.WriteFile(l+"/empty", []byte("x"), 0) },
		"a mode":             func(l, _ string) error { return os.Chmod(l+"/empty", 0o600) },
		"a setuid bit":       func(l, _ string) error { return os.Chmod(l+"/d/f", 0o755) },
		"a directory's mode": func(l, _ string) error { return os.Chmod(l+"/d", 0o700) },
		"the root's mode":    func(l, _ string) error { return os.Chmod(l, 0o700) },
		"an owner":           func(l, _ string) error { return os.Chown(l+"/empty", 1, 0) },
		"a group":            func(l, _ string) error { return os.Lchown(l+"/l", 0, 1) },
		"a time":             func(l, _ string) error { return os.Chtimes(l+"/empty", time.Time{}, time.Unix(1, 0)) },
		"an attribute":       func(l, _ string) error { return unix.Setxattr(l+"/d/f", "user.a", []byte("2"), 0) },
		"one attribute more": func(l, _ string) error { return unix.Setxattr(l+"/empty", "user.b", nil, 0) },
		"one attribute less": func(l, _ string) error { return unix.Removexattr(l+"/d/f", "user.a") },
		"a file less":        func(l, _ string) error { return os.Remove(l + "/empty") },
		"a file more":        func(l, _ string) error { return os.WriteFile(l+"/d/more", nil, 0o600) },
		"a directory more":   func(l, _ string) error { return os.Mkdir(l+"/d/more", 0o700) },
		"a link elsewhere":   func(l, _ string) error { return errors.Join(os.Remove(l+"/l"), os.Symlink("d/g", l+"/l")) },
		"a hard link on its own": func(l, _ string) error {
			return errors.Join(os.Rename(l+"/h", l+"/x"), os.Link(l+"/empty", l+"/h"), os.Remove(l+"/x"))
		},
		"another device": func(l, _ string) error {
			return errors.Join(os.Remove(l+"/n"), unix.Mknod(l+"/n", unix.S_IFCHR|0o644, int(unix.Mkdev(1, 5))))
		},
		"a file for a device": func(l, _ string) error { return errors.Join(os.Remove(l+"/n"), os.WriteFile(l+"/n", nil, 0o600)) },
		"a whiteout less":     func(_, u string) error { return os.Remove(u + "/empty") },
		"no longer opaque":    func(_, u string) error { return unix.Removexattr(u+"/d", "trusted.overlay.opaque") },
		"a whiteout more":     func(_, u string) error { return unix.Mknod(u+"/h", unix.S_IFCHR, 0) },
		"a redirect":          func(_, u string) error { return unix.Setxattr(u+"/d", "trusted.overlay.redirect", []byte("/x"), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			s, reg, host := open(t, image.Options{Snapshotter: image.Overlay{}})
			got := pull(t, s, reg, host, "a:1", img)
			root := mount(t, s, "k", got, false)
			if err := errors.Join(os.WriteFile(filepath.Join(root, "l"), []byte("changed"), 0o600), os.RemoveAll(filepath.Join(root, "h"))); err != nil {
				t.Fatal(err)
			}
			wantClean(t, s)
			tree := func(i int) string {
				return filepath.Join(s.Root(), "snapshots/layers", got.ChainIDs[i].Encoded(), "fs")
			}
			if err := change(tree(0), tree(1)); err != nil {
				t.Fatal(err)
			}
			if bad, err := s.Check(t.Context()); err != nil || len(bad) != 1 || !strings.Contains(bad[0], "is not what its blob holds") {
				t.Errorf("check: %q, %v", bad, err)
			}
			if aside, err := s.Repair(t.Context()); err != nil || len(aside) != 1 {
				t.Errorf("repair: %q, %v", aside, err)
			}
			reg.Requests()
			if _, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{}); err != nil {
				t.Fatal(err)
			}
			for _, r := range reg.Requests() {
				if strings.Contains(r, "/blobs/") {
					t.Errorf("fetched %s", r)
				}
			}
			wantClean(t, s)
		})
	}
}
