package volume_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/volume"
	"github.com/lifepod/lifepod/volume/volumetest"
)

func TestHostPathTypes(t *testing.T) {
	root(t)
	m := volume.New(volume.Options{})
	base := t.TempDir()
	at := func(name string) string { return filepath.Join(base, name) }
	if err := os.WriteFile(at("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(at("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: at("sock")}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		kind corev1.HostPathType
		want string // the error; "" is fine
	}{
		{base, "", ""}, {at("nothing"), "", ""},
		{base, "Directory", ""}, {at("file"), "File", ""}, {at("sock"), "Socket", ""}, {"/dev/null", "CharDevice", ""},
		{at("file"), "Directory", "hostPath type check failed: " + at("file") + " is not a directory, it's a File"},
		{base, "File", "hostPath type check failed: " + base + " is not a file, it's a Directory"},
		{base, "Socket", "hostPath type check failed: " + base + " is not a socket file, it's a Directory"},
		{"/dev/null", "BlockDevice", "hostPath type check failed: /dev/null is not a block device, it's a CharDevice"},
		{at("sock"), "CharDevice", "hostPath type check failed: " + at("sock") + " is not a character device, it's a Socket"},
		{at("none"), "Directory", "hostPath type check failed, " + at("none") + " is not a directory, unable to determine its type: path \"" + at("none") + "\" does not exist"},
		{at("fifo"), "File", "hostPath type check failed, " + at("fifo") + " is not a file, unable to determine its type: only recognise file, directory, socket, block device and character device"},
		{at("file"), "DirectoryOrCreate", "hostPath type check failed: " + at("file") + " is not a directory, it's a File"},
		{at("new/dir"), "DirectoryOrCreate", ""}, {at("newfile"), "FileOrCreate", ""}, {at("newfile"), "File", ""},
		{base, "Bogus", "Bogus is an invalid volume type"},
		{base + "/x/../y", "", "invalid HostPath `" + base + "/x/../y`: must not contain '..'"},
	} {
		v := volumetest.HostPath("host", c.path)
		v.HostPath.Type = &c.kind
		out, err := m.SetUp(t.Context(), volume.Request{Pod: volumetest.Pod(v), Dir: podDir(t, m)})
		got := ""
		if err != nil {
			got = strings.TrimPrefix(err.Error(), `MountVolume.SetUp failed for volume "host" : `)
		}
		if got != c.want || c.want == "" && out["host"].Path != c.path {
			t.Errorf("%s as %q: %q, want %q", c.path, c.kind, got, c.want)
		}
	}
	if mode, _, _ := owner(t, at("new/dir")); mode.Perm() != 0o755 {
		t.Errorf("a created directory has mode %v", mode)
	}
	if mode, _, _ := owner(t, at("newfile")); mode.Perm() != 0o644 {
		t.Errorf("a created file has mode %v", mode)
	}
}

func TestHostPathKeepsOffOurOwn(t *testing.T) {
	base := t.TempDir()
	own := filepath.Join(base, "var", "lib", "own")
	if err := os.MkdirAll(filepath.Join(own, "pods"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(own, filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	m := volume.New(volume.Options{Protected: []string{own}})
	for path, allowed := range map[string]bool{
		"/": false, base: false, own: false, own + "/": false, filepath.Join(own, "pods"): false, filepath.Join(own, "later", "x"): false,
		filepath.Join(base, "link"): false, filepath.Join(base, "link", "pods"): false, filepath.Join(base, "var", "lib"): false,
		own + "er": true, filepath.Join(base, "var", "other"): true, "/tmp/elsewhere": true,
	} {
		_, err := m.SetUp(t.Context(), volume.Request{Pod: volumetest.Pod(volumetest.HostPath("h", path)), Dir: t.TempDir()})
		if (err == nil) != allowed {
			t.Errorf("%s: %v", path, err)
		}
	}
}
