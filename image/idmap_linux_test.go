package image_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/internal/testutil"
)

// maps are those of a pod with a user namespace.
var maps = []image.IDMap{{Inside: 0, Outside: 200_000, Size: 65_536}}

// mountedAt mounts on a directory of the test.
func mountedAt(t *testing.T, mounts []image.Mount) string {
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

// owner is whom a file belongs to, as the machine sees it.
func owner(t *testing.T, name string) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		t.Error(err)
	}
	return fmt.Sprintf("%d:%d", st.Uid, st.Gid)
}

// A process in a user namespace sees its own ids and writes as their owner; what
// it wrote lies in the snapshot with the ids that it has inside.
func TestMapIDs(t *testing.T) {
	testutil.RequireRoot(t)
	for _, sn := range []image.Snapshotter{image.Overlay{}, image.Copy{}, image.Overlay{User: true}} {
		for _, onePage := range []bool{false, true} {
			t.Run(fmt.Sprint(sn, onePage), func(t *testing.T) { testMapIDs(t, sn, onePage) })
		}
	}
}

func testMapIDs(t *testing.T, sn image.Snapshotter, onePage bool) {
	s, reg, host := open(t, image.Options{Snapshotter: sn})
	if onePage {
		image.InOnePage(t)
	}
	img := pull(t, s, reg, host, "a:1", imagetest.Image{Layers: stack{
		of(entry{Name: "d/", UID: 5, GID: 6, Mode: 0o700}, entry{Name: "d/f", UID: 5, GID: 6, Data: []byte("1")}, entry{Name: "su", Mode: 0o4755}),
		of(entry{Name: "beyond", UID: 100_000, Data: []byte("2")}), of(entry{Name: "g", Mode: 0o600, Data: []byte("3")}),
	}})
	plain, err := s.Prepare(t.Context(), "k", img.ID)
	if err != nil {
		t.Fatal(err)
	}
	root := mountedAt(t, image.MapIDs(plain, maps, maps))
	for name, want := range map[string]string{".": "200000:200000", "d/f": "200005:200006", "g": "200000:200000", "beyond": "65534:200000"} {
		if got := owner(t, filepath.Join(root, name)); got != want {
			t.Errorf("%s belongs to %s, want %s", name, got, want)
		}
	}
	if err := os.Chmod(filepath.Dir(root), 0o711); err != nil { // the namespace's root has to get there
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-ec", `id -u; cat g; echo more >>g; chmod 640 d/f; mkdir new; echo x >new/f; chown 7:8 new/f; rm su; cat beyond; stat -c %u:%g g new/f d`)
	cmd.Dir = root
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER, Credential: &syscall.Credential{},
		UidMappings: []syscall.SysProcIDMap{{HostID: 200_000, Size: 65_536}}, GidMappings: []syscall.SysProcIDMap{{HostID: 200_000, Size: 65_536}},
		GidMappingsEnableSetgroups: true,
	}
	out, err := cmd.CombinedOutput()
	if want := "0\n320:0\n7:8\n5:6\n"; err != nil || string(out) != want {
		t.Errorf("in the namespace: %v, %q, want %q", err, out, want)
	}
	if err := image.Unmount(root); err != nil {
		t.Fatal(err)
	}
	root = mountedAt(t, plain)
	for name, want := range map[string]string{"g": "0:0", "new": "0:0", "new/f": "7:8", "d/f": "5:6", "beyond": "100000:0"} {
		if got := owner(t, filepath.Join(root, name)); got != want {
			t.Errorf("without maps, %s belongs to %s, want %s", name, got, want)
		}
	}
	if got := read(t, root, "g"); got != "3more\n" {
		t.Errorf("g holds %q", got)
	}
	if _, err := os.Stat(filepath.Join(root, "su")); !os.IsNotExist(err) {
		t.Errorf("what was removed is there: %v", err)
	}
}

// Views take maps as well, of one layer and of several.
func TestMappedView(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	for n, layers := range map[string]stack{"one": {of(entry{Name: "f", UID: 1})}, "two": {of(entry{Name: "f", UID: 1}), of(entry{Name: "g"})}} {
		img := pull(t, s, reg, host, n+":1", imagetest.Image{Layers: layers})
		m, err := s.View(t.Context(), n, img.ID)
		if err != nil {
			t.Fatal(err)
		}
		root := mountedAt(t, image.MapIDs(m, maps, maps))
		if got := owner(t, root+"/f"); got != "200001:200000" {
			t.Errorf("%s: f belongs to %s", n, got)
		}
		if err := os.WriteFile(root+"/f", nil, 0o600); err == nil {
			t.Errorf("%s can be written to", n)
		}
	}
}

// What cannot be mapped is named, and nothing is mounted.
func TestMapIDsRefused(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	img := pull(t, s, reg, host, "a:1", imagetest.Random(1, 2, 100))
	over := mount(t, s, "k", img, false)
	target := t.TempDir()
	for name, c := range map[string]struct {
		mount image.Mount
		want  []string
	}{
		"a bind of an overlayfs": {image.Mount{Type: "bind", Source: over, Options: []string{"rw"}, UIDs: maps, GIDs: maps}, []string{over, "on overlay", "Linux ", "map the ids"}},
		"a layer on an overlayfs": {image.Mount{Type: "overlay", Source: "overlay", Options: []string{"lowerdir=" + over + "/layer0:" + over + "/layer1"}, UIDs: maps, GIDs: maps},
			[]string{over + "/layer0", "on overlay"}},
		"a layer on proc":   {image.Mount{Type: "bind", Source: "/proc/sys", UIDs: maps, GIDs: maps}, []string{"/proc/sys", "on proc"}},
		"users alone":       {image.Mount{Type: "bind", Source: s.Root(), UIDs: maps}, []string{"both users and groups"}},
		"groups alone":      {image.Mount{Type: "overlay", Source: "overlay", Options: []string{"lowerdir=" + s.Root()}, GIDs: maps}, []string{"both users and groups"}},
		"maps that overlap": {image.Mount{Type: "bind", Source: s.Root(), UIDs: append(maps, maps...), GIDs: maps}, []string{"make a user namespace with users [{0 200000 65536} {0 200000 65536}]"}},
	} {
		err := image.MountAll([]image.Mount{c.mount}, target)
		if err == nil {
			t.Errorf("%s: mounted", name)
			_ = image.Unmount(target)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, want %q in it", name, err, w)
			}
		}
	}
	if b, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(b), target) {
		t.Errorf("something is mounted: %v", err)
	}
}

// As older kernels do it: as many layers as fit in a page, by short names, and an
// error that says so beyond.
func TestLayersInOnePage(t *testing.T) {
	testutil.RequireRoot(t)
	image.InOnePage(t)
	dir := t.TempDir()
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{dir}})
	var layers []string
	for i := range 500 {
		l := filepath.Join(dir, fmt.Sprintf("a-long-name-as-layers-have-it-%0200d", i))
		if err := os.Mkdir(l, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(l, fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		layers = append(layers, l)
	}
	for _, d := range []string{"s/fs", "s/work"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{2, 10, 150} {
		for _, view := range []bool{false, true} {
			root := mountedAt(t, image.Overlay{}.Mounts(filepath.Join(dir, "s"), layers[:n], view))
			if list, err := os.ReadDir(root); err != nil || len(list) != n {
				t.Errorf("%d layers show %d names, %v", n, len(list), err)
			}
			if err := os.WriteFile(filepath.Join(root, "w"), nil, 0o600); (err != nil) != view {
				t.Errorf("%d layers, view=%v: writing: %v", n, view, err)
			}
			if !view {
				if err := os.Remove(filepath.Join(root, "w")); err != nil {
					t.Error(err)
				}
			}
			if err := image.Unmount(root); err != nil {
				t.Error(err)
			}
		}
	}
	err := image.MountAll(image.Overlay{}.Mounts(filepath.Join(dir, "s"), layers, false), t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "layers do not fit into the page of options") {
		t.Errorf("500 layers: %v", err)
	}
}

// Directories with longer paths than a parameter of the mount API may have.
func TestLongPaths(t *testing.T) {
	_, reg, host := open(t, image.Options{})
	s, err := image.Open(filepath.Join(t.TempDir(), strings.Repeat("long:,", 40), strings.Repeat("l", 200)), image.Options{NoSync: true, Snapshotter: image.Overlay{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	root := mount(t, s, "k", pull(t, s, reg, host, "a:1", imagetest.Random(1, 3, 100)), false)
	if _, err := os.Stat(filepath.Join(root, "layer2")); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(root, "w"), nil, 0o600); err != nil {
		t.Error(err)
	}
}
