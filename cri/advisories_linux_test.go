package cri

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/cri/ocispec"
	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/internal/testutil"
)

// rootAside is a root filesystem with a canary beside it.
func rootAside(t *testing.T) (root string, canary *imagetest.Canary) {
	t.Helper()
	testutil.RequireRoot(t)
	top := t.TempDir()
	root = filepath.Join(top, "root")
	for _, d := range []string{"etc", "vol", "lib/x86_64-linux-gnu"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	canary = imagetest.NewCanary(t, filepath.Join(top, "canary"))
	t.Cleanup(func() { canary.Check(t) })
	return root, canary
}

// CVE-2022-23648: a volume of the image at a path that leads out of it shows
// nothing of the host.
func TestImageVolumeThroughLinks(t *testing.T) {
	for name, link := range map[string]func(canary string) (at, to, volume string){
		"absolute":          func(c string) (string, string, string) { return "out", c, "/out" },
		"relative":          func(string) (string, string, string) { return "out", "../canary", "/out" },
		"on the way":        func(c string) (string, string, string) { return "up", filepath.Dir(c), "/up/canary" },
		"by .. in its path": func(c string) (string, string, string) { return "up", c + "/d", "/up/../d" },
		"through /proc":     func(c string) (string, string, string) { return "out", "/proc/self/root" + c, "/out" },
		"to itself":         func(string) (string, string, string) { return "out", "out", "/out" },
		"inside":            func(c string) (string, string, string) { return "vol/l", c + "/f", "/vol" },
	} {
		t.Run(name, func(t *testing.T) {
			root, canary := rootAside(t)
			at, to, volume := link(canary.Dir)
			if err := os.Symlink(to, filepath.Join(root, at)); err != nil {
				t.Fatal(err)
			}
			fsys, err := os.OpenRoot(root)
			if err != nil {
				t.Fatal(err)
			}
			defer fsys.Close()
			dir := t.TempDir()
			err = copyUp(fsys, volume, dir)
			if (err != nil) != (name == "to itself") {
				t.Errorf("%v", err)
			}
			_ = filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
				if err != nil {
					t.Error(err)
				} else if e.Type().IsRegular() {
					t.Errorf("%s was copied", p)
				}
				return nil
			})
			if got, err := os.Readlink(filepath.Join(dir, "l")); name == "inside" && got != to {
				t.Errorf("the link is %q, %v", got, err)
			}
		})
	}
}

// CVE-2019-14271, CVE-2024-9676: users are read from regular files inside the
// image, whatever stands in their place; no library of the image is loaded.
func TestUserFilesOfHostileImages(t *testing.T) {
	for name, c := range map[string]struct {
		make func(root, canary string) error
		want string // part of the error
	}{
		"a link to outside":  {func(r, c string) error { return os.Symlink(c+"/passwd", r+"/etc/passwd") }, "no users found"},
		"a link that climbs": {func(r, _ string) error { return os.Symlink("../../canary/passwd", r+"/etc/passwd") }, "no users found"},
		"a directory link":   {func(r, c string) error { return errorsOf(os.Remove(r+"/etc"), os.Symlink(c, r+"/etc")) }, "no users found"},
		"a link to itself":   {func(r, _ string) error { return os.Symlink("passwd", r+"/etc/passwd") }, "too many symbolic links"},
		"a FIFO":             {func(r, _ string) error { return unix.Mkfifo(r+"/etc/passwd", 0o644) }, "not a regular file"},
		"an endless device":  {func(r, _ string) error { return unix.Mknod(r+"/etc/passwd", unix.S_IFCHR|0o644, int(unix.Mkdev(1, 5))) }, "not a regular file"},
		"a directory":        {func(r, _ string) error { return os.Mkdir(r+"/etc/passwd", 0o755) }, "not a regular file"},
		"more than anybody reads": {func(r, _ string) error {
			return errorsOf(os.WriteFile(r+"/etc/passwd", nil, 0o600), os.Truncate(r+"/etc/passwd", 1<<40))
		}, ""},
		"a library for look-ups": {func(r, _ string) error {
			return errorsOf(os.WriteFile(r+"/etc/nsswitch.conf", []byte("passwd: evil\n"), 0o600), os.WriteFile(r+"/lib/x86_64-linux-gnu/libnss_evil.so.2", []byte("\x7fELF"), 0o755))
		}, "no users found"},
	} {
		t.Run(name, func(t *testing.T) {
			root, canary := rootAside(t)
			if err := c.make(root, canary.Dir); err != nil {
				t.Fatal(err)
			}
			r := &Runtime{}
			img := image.Image{Config: imagespec.Image{Config: imagespec.ImageConfig{User: "app"}}}
			_, err := r.user(root, &ctr{Config: &runtimeapi.ContainerConfig{}}, img)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want an error with %q", err, c.want)
			}
			if maps, err := os.ReadFile("/proc/self/maps"); err != nil || strings.Contains(string(maps), root) {
				t.Errorf("a file of the image is mapped: %v", err)
			}
		})
	}
}

func errorsOf(errs ...error) error {
	i := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	if i < 0 {
		return nil
	}
	return errs[i]
}

// CVE-2023-25173, CVE-2022-36109, CVE-2022-2989, CVE-2022-2990: a process has
// the groups that it should, its primary one among them, in whatever way the user
// is named; else a file that a group must not read is open to it.
// CVE-2024-40635: an id that the kernel would cut to root's is refused.
func TestGroupsAndIDs(t *testing.T) {
	root, _ := rootAside(t)
	if err := errorsOf(os.WriteFile(root+"/etc/passwd", []byte("root:x:0:0::/:\napp:x:1000:1001::/:\n"), 0o600),
		os.WriteFile(root+"/etc/group", []byte("root:x:0:\nbanned:x:50:app\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	fsys, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.Close()
	for user, want := range map[string]string{
		"": "0:0 [0]", "root": "0:0 [0]", "app": "1000:1001 [50 1001]", "1000": "1000:1001 [50 1001]", "app:0": "1000:0 [0 50]",
		"1000:1001": "1000:1001 [50 1001]", "7": "7:0 [0]", "7:8": "7:8 [8]",
		"4294967296": "out of range", "4294967296:0": "out of range", "0:4294967296": "out of range", "2147483648": "out of range",
		"18446744073709551616": "out of range", "-1": "out of range",
	} {
		u, err := ocispec.ResolveUser(scoped{fsys}, &runtimeapi.ContainerConfig{}, imagespec.ImageConfig{User: user})
		got := fmt.Sprintf("%d:%d %v", u.UID, u.GID, u.Groups)
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("user %q: %s, want %s", user, got, want)
		}
	}
}

// CVE-2021-43816: a mount over a file of the pod's is that mount alone, and
// nothing of the host is labelled anew. CVE-2026-53488: what an image says of
// itself does not become what the pod's owner says of the container.
func TestImageSteersNothing(t *testing.T) {
	w := newWorld(t)
	w.images.img.Config.Config.Labels = map[string]string{"containerd.io/restart.loguri": "binary:///bin/sh", "io.kubernetes.pod.namespace": "kube-system"}
	r := w.open(t)
	c := containerConfig("c", "sleep")
	for _, p := range []string{"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/shm"} {
		c.Mounts = append(c.Mounts, &runtimeapi.Mount{HostPath: "/h", ContainerPath: p, SelinuxRelabel: true})
	}
	id := startContainer(t, r, runSandbox(t, r), c)
	s := w.rt.specOf(id)
	for _, m := range c.Mounts {
		n := 0
		for _, got := range s.Mounts {
			if got.Destination != m.ContainerPath {
				continue
			}
			if n++; got.Source != "/h" || slices.Contains(got.Options, "z") || slices.Contains(got.Options, "Z") {
				t.Errorf("%+v", got)
			}
		}
		if n != 1 {
			t.Errorf("%d mounts at %s", n, m.ContainerPath)
		}
	}
	if s.Linux.MountLabel != "" {
		t.Errorf("mount label %q", s.Linux.MountLabel)
	}
	st, err := r.ContainerStatus(context.Background(), id, false)
	if err != nil {
		t.Fatal(err)
	}
	for name := range w.images.img.Config.Config.Labels {
		for what, all := range map[string]map[string]string{"annotation of the spec": s.Annotations, "label": st.GetStatus().GetLabels(), "annotation": st.GetStatus().GetAnnotations()} {
			if v, ok := all[name]; ok {
				t.Errorf("%s %s is %q", what, name, v)
			}
		}
	}
}
