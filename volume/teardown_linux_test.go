package volume_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lifepod/lifepod/volume"
	"github.com/lifepod/lifepod/volume/volumetest"
)

func TestFullDiskLeavesNothing(t *testing.T) {
	root(t)
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	m := volume.New(volume.Options{})
	dir := filepath.Join(disk, "pod")
	objects := &volumetest.Objects{}
	objects.SetConfigMap("conf", map[string]string{"a": "small"})
	r := volume.Request{Pod: volumetest.Pod(volumetest.ConfigMap("conf", false)), Dir: dir, Objects: objects}
	big := map[string]string{"a": strings.Repeat("x", 200<<10)}

	objects.SetConfigMap("conf", big)
	_, err := m.SetUp(t.Context(), r)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("a full disk: %v", err)
	}
	if list, _ := os.ReadDir(filepath.Join(dir, "volumes/kubernetes.io~configmap")); len(list) != 0 {
		t.Errorf("left behind: %v", list)
	}
	objects.SetConfigMap("conf", map[string]string{"a": "small"})
	out := setUp(t, m, r)
	objects.SetConfigMap("conf", big)
	if changed, err := m.Update(t.Context(), r); !errors.Is(err, syscall.ENOSPC) || len(changed) != 0 {
		t.Errorf("update on a full disk: %v %v", changed, err)
	}
	if got := read(t, out["conf"].Path); got["a"] != "small" {
		t.Errorf("the old content is gone: %d bytes", len(got["a"]))
	}
	list, err := os.ReadDir(out["conf"].Path)
	if err != nil || len(list) != 3 { // ..stamp, ..data, a
		t.Errorf("the volume holds %v, %v", list, err)
	}
	if err := m.TearDown(t.Context(), dir); err != nil {
		t.Error(err)
	}
}

func TestTearDownSparesWhatLiesElsewhere(t *testing.T) {
	root(t)
	m := volume.New(volume.Options{})
	other := t.TempDir()
	precious := filepath.Join(other, "precious")
	if err := os.WriteFile(precious, []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := podDir(t, m)
	if err := os.WriteFile(filepath.Join(dir, "pod.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out := setUp(t, m, volume.Request{Pod: volumetest.Pod(volumetest.EmptyDir("scratch", ""), volumetest.HostPath("host", other)), Dir: dir})
	in := out["scratch"].Path
	if err := os.Symlink(other, filepath.Join(in, "link")); err != nil {
		t.Fatal(err)
	}
	// What a container with Bidirectional propagation may have mounted.
	nested := filepath.Join(in, "sub", "mnt")
	if err := os.MkdirAll(nested, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(other, nested, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	hold, err := os.Open(filepath.Join(nested, "precious"))
	if err != nil {
		t.Fatal(err)
	}
	err = m.TearDown(t.Context(), dir)
	hold.Close()
	if !errors.Is(err, syscall.EBUSY) || !strings.Contains(err.Error(), nested) {
		t.Errorf("with a busy mount: %v, want an error that names it", err)
	}
	if err := m.TearDown(t.Context(), dir); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(precious); string(b) != "keep" {
		t.Errorf("it deleted through a mount or a link: %v", err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 || list[0].Name() != "pod.json" {
		t.Errorf("the pod's directory holds %v, want its own file alone", list)
	}
}

func TestTearDownOfAVeryDeepTree(t *testing.T) {
	root(t)
	m := volume.New(volume.Options{})
	dir := podDir(t, m)
	out := setUp(t, m, volume.Request{Pod: volumetest.Pod(volumetest.EmptyDir("scratch", "")), Dir: dir})
	fd, err := syscall.Open(out["scratch"].Path, syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		if err := syscall.Mkdirat(fd, "d", 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := syscall.Openat(fd, "d", syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
		if err != nil {
			t.Fatal(err)
		}
		syscall.Close(fd)
		fd = next
	}
	syscall.Close(fd)
	if err := m.TearDown(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("left: %v", list)
	}
}
