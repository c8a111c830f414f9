package imagetest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/layer"
	"golang.org/x/sys/unix"
)

// Snapshots is a snapshotter under test.
type Snapshots struct {
	image.Snapshotter
	// Dir is an empty directory, where layers and snapshots of the test lie.
	Dir string
	// NoMount is for processes that may not mount anything. What a snapshotter
	// makes for them is looked at where it lies, and views can be written to.
	NoMount bool
}

// RunSnapshotter runs the suite against fresh subjects, whose directories
// somebody else removes.
func RunSnapshotter(t *testing.T, fresh func(t *testing.T) Snapshots) {
	for name, f := range map[string]func(*testing.T, Snapshots){
		"a layer hides and replaces what lies below":     overlaid,
		"files keep their attributes":                    kept,
		"files keep their names, holes and kinds":        kinds,
		"snapshots of the same layers are apart":         apart,
		"what a snapshot removes stays removed":          removed,
		"a view cannot be written to":                    viewed,
		"a snapshot may have 500 layers, one, and none":  manyLayers,
		"a root that is opaque hides all below":          opaqueRoot,
		"a directory inherits what its layer leaves out": inherited,
	} {
		t.Run(name, func(t *testing.T) { f(t, fresh(t)) })
	}
}

// unpack makes a layer of files on top of others.
func (s Snapshots) unpack(t *testing.T, below []string, files ...File) []string {
	t.Helper()
	b, err := Archive(files...)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(s.Dir, "layer-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	o := layer.Options{Unprivileged: s.Unprivileged(), Lowest: len(below) == 0}
	res, err := layer.Apply(t.Context(), dir, bytes.NewReader(b), o)
	var lowers []string
	for _, l := range below {
		lowers = append([]string{l}, lowers...)
	}
	if err == nil {
		err = layer.Inherit(dir, res.Implicit, lowers, o)
	}
	if err != nil {
		t.Fatal(err)
	}
	return append(below[:len(below):len(below)], dir)
}

// prepare makes a snapshot and returns what shows it once more.
func (s Snapshots) prepare(t *testing.T, layers []string, readOnly bool) (show func() (root string)) {
	t.Helper()
	dir, err := os.MkdirTemp(s.Dir, "snapshot-")
	if err != nil {
		t.Fatal(err)
	}
	half := dir + "-half"
	if err := errors.Join(os.Mkdir(half, 0o700), os.Mkdir(half+"/fs", 0o755), os.Mkdir(half+"/work", 0o700), os.Remove(dir)); err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context(), half, layers, readOnly); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(half, dir); err != nil {
		t.Fatal(err)
	}
	target := ""
	return func() string {
		mounts := s.Mounts(dir, layers, readOnly)
		if s.NoMount {
			return mounts[0].Source
		}
		if target != "" {
			if err := image.Unmount(target); err != nil {
				t.Fatal(err)
			}
		} else {
			if target, err = os.MkdirTemp(s.Dir, "root-"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := image.Unmount(target); err != nil {
					t.Error(err)
				}
			})
		}
		if err := image.MountAll(mounts, target); err != nil {
			t.Fatal(err)
		}
		return target
	}
}

// wantTree compares what names hold with what they should: "" for a directory,
// "-" for nothing.
func wantTree(t *testing.T, root string, want map[string]string) {
	t.Helper()
	for name, content := range want {
		got := "-"
		fi, err := os.Lstat(filepath.Join(root, name))
		switch {
		case err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ENOTDIR):
			t.Error(err)
		case err == nil && fi.IsDir():
			got = ""
		case err == nil:
			b, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Error(err)
			}
			got = string(b)
		}
		if got != content {
			t.Errorf("%s is %q, want %q", name, got, content)
		}
	}
}

func overlaid(t *testing.T, s Snapshots) {
	layers := s.unpack(t, nil,
		File{Name: "etc/"}, File{Name: "etc/a", Data: []byte("1")}, File{Name: "etc/b", Data: []byte("1")},
		File{Name: "old/"}, File{Name: "old/x", Data: []byte("1")}, File{Name: "old/sub/"}, File{Name: "old/sub/y", Data: []byte("1")},
		File{Name: "dir/"}, File{Name: "dir/y", Data: []byte("1")}, File{Name: "gone/"}, File{Name: "gone/z", Data: []byte("1")},
		File{Name: "file", Data: []byte("1")}, File{Name: "tree/"}, File{Name: "tree/t", Data: []byte("1")})
	layers = s.unpack(t, layers,
		File{Name: "etc/.wh.a"}, File{Name: "etc/b", Data: []byte("2")}, File{Name: "etc/c", Data: []byte("2")},
		File{Name: "old/.wh..wh..opq"}, File{Name: "old/new", Data: []byte("2")}, File{Name: "old/sub/"},
		File{Name: ".wh.dir"}, File{Name: ".wh.gone"}, File{Name: "file/"}, File{Name: "file/in", Data: []byte("2")},
		File{Name: "tree", Data: []byte("2")})
	layers = s.unpack(t, layers, File{Name: "dir/"}, File{Name: "dir/q", Data: []byte("3")}, File{Name: "etc/a", Data: []byte("3")})
	wantTree(t, s.prepare(t, layers, false)(), map[string]string{
		"etc/a": "3", "etc/b": "2", "etc/c": "2", "old/x": "-", "old/new": "2", "old/sub": "", "old/sub/y": "-",
		"dir/y": "-", "dir/q": "3", "gone": "-", "file": "", "file/in": "2", "tree": "2",
		"etc/.wh.a": "-", "old/.wh..wh..opq": "-",
	})
}

// The values of extended attributes as the kernel has them.
const (
	capNetRaw = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	aclUser7  = "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\x07\x00\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"
)

func lstat(t *testing.T, root, name string) (st unix.Stat_t) {
	t.Helper()
	if err := unix.Lstat(filepath.Join(root, name), &st); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return st
}

func xattr(root, name, attr string) string {
	b := make([]byte, 256)
	n, err := unix.Lgetxattr(filepath.Join(root, name), attr, b)
	if err != nil {
		return "!" + err.Error()
	}
	return string(b[:n])
}

func kept(t *testing.T, s Snapshots) {
	when := time.Unix(1_600_000_000, 123456789)
	x := map[string]string{"user.a": "b"}
	if !s.Unprivileged() {
		x["security.capability"], x["system.posix_acl_access"] = capNetRaw, aclUser7
	}
	layers := s.unpack(t, nil,
		File{Name: "tmp/", Mode: 0o1777, UID: 5, GID: 6, ModTime: when, Xattrs: map[string]string{"user.d": "e"}},
		File{Name: "su", Mode: 0o4755, UID: 7, GID: 8, ModTime: when}, File{Name: "sg", Mode: 0o2711, UID: 7, GID: 8, ModTime: when},
		File{Name: "x", Mode: 0o664, Xattrs: x, ModTime: when}, File{Name: "secret", Mode: 0o600},
		File{Name: "s", Link: "/nowhere", UID: 9, GID: 9, ModTime: when})
	layers = s.unpack(t, layers, File{Name: "other"})
	root := s.prepare(t, layers, true)()
	for name, mode := range map[string]uint32{"tmp": 0o1777, "su": 0o4755, "sg": 0o2711, "secret": 0o600} {
		st := lstat(t, root, name)
		if s.Unprivileged() && name == "sg" {
			mode = st.Mode&0o2000 | 0o711 | 0o600 // the bit goes where the group is not one of ours
		}
		if st.Mode&0o7777 != mode {
			t.Errorf("%s has mode %o, want %o", name, st.Mode&0o7777, mode)
		}
	}
	for _, name := range []string{"tmp", "su", "x", "s"} {
		if st := lstat(t, root, name); st.Mtim.Sec != when.Unix() || st.Mtim.Nsec != 123456789 {
			t.Errorf("%s has the time %d.%d", name, st.Mtim.Sec, st.Mtim.Nsec)
		}
	}
	x["user.a"] = "b"
	for attr, value := range x {
		if got := xattr(root, "x", attr); got != value {
			t.Errorf("%s is %q, want %q", attr, got, value)
		}
	}
	if got := xattr(root, "tmp", "user.d"); got != "e" {
		t.Errorf("user.d of a directory is %q", got)
	}
	if s.Unprivileged() {
		return
	}
	for name, owner := range map[string][2]uint32{"tmp": {5, 6}, "su": {7, 8}, "s": {9, 9}} {
		if st := lstat(t, root, name); st.Uid != owner[0] || st.Gid != owner[1] {
			t.Errorf("%s belongs to %d:%d, want %v", name, st.Uid, st.Gid, owner)
		}
	}
}

func kinds(t *testing.T, s Snapshots) {
	holes := append(append(make([]byte, 1<<20), "middle"...), make([]byte, 1<<20)...)
	files := []File{
		{Name: "d/"}, {Name: "d/one", Data: []byte("1")}, {Name: "two", Type: '1', Link: "d/one"}, {Name: "d/three", Type: '1', Link: "two"},
		{Name: "abs", Link: "/d/one"}, {Name: "loop", Link: "loop"}, {Name: "up", Link: "../../.."},
		{Name: "fifo", Type: '6'}, {Name: "holes", Data: holes}, {Name: "null", Type: '3', Major: 1, Minor: 3, Mode: 0o666},
		{Name: "disk", Type: '4', Major: 7, Minor: 9}, {Name: strings.Repeat("n", 255)}, {Name: "\xff\x01 \n*é"},
	}
	root := s.prepare(t, s.unpack(t, s.unpack(t, nil, files...), File{Name: "other"}), true)()
	if a, b, c := lstat(t, root, "d/one"), lstat(t, root, "two"), lstat(t, root, "d/three"); a.Ino != b.Ino || a.Ino != c.Ino || a.Nlink != 3 {
		t.Errorf("inodes %d, %d, %d, %d links", a.Ino, b.Ino, c.Ino, a.Nlink)
	}
	for name, want := range map[string]string{"abs": "/d/one", "loop": "loop", "up": "../../.."} {
		if got, err := os.Readlink(filepath.Join(root, name)); err != nil || got != want {
			t.Errorf("%s leads to %q, want %q: %v", name, got, want, err)
		}
	}
	if st := lstat(t, root, "fifo"); st.Mode&unix.S_IFMT != unix.S_IFIFO {
		t.Errorf("fifo has mode %o", st.Mode)
	}
	if st := lstat(t, root, "holes"); st.Size != int64(len(holes)) || st.Blocks*512 > 256<<10 {
		t.Errorf("holes: %d bytes, %d on disk", st.Size, st.Blocks*512)
	}
	if b, err := os.ReadFile(filepath.Join(root, "holes")); err != nil || !bytes.Equal(b, holes) {
		t.Errorf("the content of holes: %v", err)
	}
	for _, f := range files[len(files)-2:] {
		lstat(t, root, f.Name)
	}
	for name, want := range map[string][2]uint64{"null": {unix.S_IFCHR, unix.Mkdev(1, 3)}, "disk": {unix.S_IFBLK, unix.Mkdev(7, 9)}} {
		if s.Unprivileged() {
			wantTree(t, root, map[string]string{name: "-"})
		} else if st := lstat(t, root, name); uint64(st.Mode&unix.S_IFMT) != want[0] || st.Rdev != want[1] {
			t.Errorf("%s: mode %o, device %x", name, st.Mode, st.Rdev)
		}
	}
}

func apart(t *testing.T, s Snapshots) {
	layers := s.unpack(t, s.unpack(t, nil, File{Name: "d/"}, File{Name: "d/f", Data: []byte("old")}), File{Name: "g", Data: []byte("old")})
	one, two := s.prepare(t, layers, false), s.prepare(t, layers, false)
	root := one()
	for name, text := range map[string]string{"d/f": "new", "g": "new", "d/n": "new"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wantTree(t, one(), map[string]string{"d/f": "new", "g": "new", "d/n": "new"})
	wantTree(t, two(), map[string]string{"d/f": "old", "g": "old", "d/n": "-"})
	wantTree(t, s.prepare(t, layers, true)(), map[string]string{"d/f": "old", "g": "old", "d/n": "-"})
}

func removed(t *testing.T, s Snapshots) {
	layers := s.unpack(t, nil, File{Name: "d/"}, File{Name: "d/f", Data: []byte("1")}, File{Name: "d/g", Data: []byte("1")}, File{Name: "h", Data: []byte("1")})
	layers = s.unpack(t, layers, File{Name: "e/"}, File{Name: "e/f", Data: []byte("1")})
	show := s.prepare(t, layers, false)
	root := show()
	if err := errors.Join(os.Remove(root+"/h"), os.RemoveAll(root+"/d"), os.Mkdir(root+"/d", 0o755),
		os.WriteFile(root+"/d/n", []byte("2"), 0o600), os.Rename(root+"/e/f", root+"/moved")); err != nil {
		t.Fatal(err)
	}
	wantTree(t, show(), map[string]string{"h": "-", "d": "", "d/f": "-", "d/g": "-", "d/n": "2", "e": "", "e/f": "-", "moved": "1"})
}

func viewed(t *testing.T, s Snapshots) {
	if s.NoMount {
		t.Skip("nothing can be mounted")
	}
	one := s.unpack(t, nil, File{Name: "f", Data: []byte("1")})
	for n, layers := range [][]string{nil, one, s.unpack(t, one, File{Name: "g"})} {
		root := s.prepare(t, layers, true)()
		for _, name := range []string{"f", "new"} {
			if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); !errors.Is(err, unix.EROFS) {
				t.Errorf("%d layers: writing %s: %v", n, name, err)
			}
		}
		if err := os.Remove(filepath.Join(root, "f")); n > 0 && !errors.Is(err, unix.EROFS) {
			t.Errorf("%d layers: removing: %v", n, err)
		}
	}
}

func manyLayers(t *testing.T, s Snapshots) {
	var layers []string
	for i := range 500 {
		layers = s.unpack(t, layers, File{Name: fmt.Sprintf("f%d", i)}, File{Name: "last", Data: fmt.Append(nil, i)})
		if i == 0 {
			root := s.prepare(t, layers, false)()
			wantTree(t, root, map[string]string{"last": "0"})
			if err := os.WriteFile(root+"/w", nil, 0o600); err != nil {
				t.Error(err)
			}
		}
	}
	wantTree(t, s.prepare(t, layers, false)(), map[string]string{"last": "499", "w": "-"})
	root := s.prepare(t, layers, true)()
	if list, err := os.ReadDir(root); err != nil || len(list) != 501 {
		t.Errorf("%d names in a view of 500 layers, want 501: %v", len(list), err)
	}
	root = s.prepare(t, nil, false)()
	if list, err := os.ReadDir(root); err != nil || len(list) != 0 {
		t.Errorf("a snapshot of no layer holds %v, %v", list, err)
	}
	if st := lstat(t, root, "."); st.Mode&0o7777 != 0o755 {
		t.Errorf("its root has mode %o", st.Mode)
	}
	if err := os.WriteFile(root+"/w", nil, 0o600); err != nil {
		t.Error(err)
	}
}

func opaqueRoot(t *testing.T, s Snapshots) {
	layers := s.unpack(t, nil, File{Name: "low", Data: []byte("1")})
	layers = s.unpack(t, layers, File{Name: ".wh..wh..opq"}, File{Name: "high", Data: []byte("2")})
	wantTree(t, s.prepare(t, layers, false)(), map[string]string{"low": "-", "high": "2"})
	layers = s.unpack(t, layers, File{Name: "top", Data: []byte("3")})
	for _, readOnly := range []bool{false, true} {
		wantTree(t, s.prepare(t, layers, readOnly)(), map[string]string{"low": "-", "high": "2", "top": "3"})
	}
}

func inherited(t *testing.T, s Snapshots) {
	when := time.Unix(1_500_000_000, 5)
	layers := s.unpack(t, nil, File{Name: "tmp/", Mode: 0o1777, ModTime: when, Xattrs: map[string]string{"user.a": "b"}})
	layers = s.unpack(t, layers, File{Name: "tmp/f"})
	root := s.prepare(t, layers, true)()
	if st := lstat(t, root, "tmp"); st.Mode&0o7777 != 0o1777 || st.Mtim.Sec != when.Unix() || st.Mtim.Nsec != 5 || xattr(root, "tmp", "user.a") != "b" {
		t.Errorf("mode %o, time %d, attribute %q", st.Mode, st.Mtim.Sec, xattr(root, "tmp", "user.a"))
	}
}
