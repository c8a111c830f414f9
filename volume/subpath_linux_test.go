package volume_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/volume"
	"github.com/lifepod/lifepod/volume/volumetest"
)

func TestSubPath(t *testing.T) {
	root(t)
	m := volume.New(volume.Options{})
	objects := &volumetest.Objects{}
	objects.SetConfigMap("conf", map[string]string{"a": "1"})
	group := int64(4242)
	pod := volumetest.Pod(volumetest.EmptyDir("scratch", ""), volumetest.ConfigMap("conf", false))
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: &group}
	dir := podDir(t, m)
	r := volume.Request{Pod: pod, Dir: dir, Objects: objects}
	out := setUp(t, m, r)
	sub := func(v, path string, index int) (string, error) {
		return m.SubPath(t.Context(), volume.SubPathRequest{Dir: dir, Volume: out[v], SubPath: path, Container: "app", Index: index})
	}
	made, err := sub("scratch", "logs/app", 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "volume-subpaths/scratch/app/0"); made != want {
		t.Errorf("mounted at %s, want %s", made, want)
	}
	if err := os.WriteFile(filepath.Join(made, "f"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(out["scratch"].Path, "logs/app/f")); string(b) != "x" {
		t.Errorf("what is written to the subPath is not in the volume: %v", err)
	}
	for _, d := range []string{"logs", "logs/app"} {
		mode, _, gid := owner(t, filepath.Join(out["scratch"].Path, d))
		if mode.Perm() != 0o777 || mode&os.ModeSetgid == 0 || gid != uint32(group) {
			t.Errorf("%s: mode %v, group %d: it has not the volume's", d, mode, gid)
		}
	}
	file, err := sub("conf", "a", 1)
	if err != nil {
		t.Fatal(err)
	}
	objects.SetConfigMap("conf", map[string]string{"a": "2"})
	if _, err := m.Update(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(file); string(b) != "1" {
		t.Errorf("a subPath of a configMap must not change under a container: %q, %v", b, err)
	}
	if file, err = sub("conf", "a", 1); err != nil { // the container restarts
		t.Fatal(err)
	}
	if b, err := os.ReadFile(file); string(b) != "2" {
		t.Errorf("after a restart it shows %q, %v", b, err)
	}
	if err := m.TearDown(t.Context(), dir); err != nil {
		t.Error(err)
	}
}

// Everything that a container can put into its volume to get out of it.
func TestSubPathCannotEscape(t *testing.T) {
	root(t)
	m := volume.New(volume.Options{})
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := podDir(t, m)
	out := setUp(t, m, volume.Request{Pod: volumetest.Pod(volumetest.EmptyDir("scratch", "")), Dir: dir})
	in := out["scratch"].Path
	for name, target := range map[string]string{
		"abs": outside, "up": "../../../..", "self": "/proc/self/root", "inside": "real", "chain": "up/etc", "dangling": outside + "/new", "loop": "loop",
	} {
		if err := os.Symlink(target, filepath.Join(in, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(in, "real"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(in, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	i := 0
	for path, allowed := range map[string]bool{
		"abs": false, "abs/secret": false, "abs/made": false, "up": false, "up/etc": false, "self": false, "self/etc": false, "chain": false,
		"dangling": false, "dangling/x": false, "loop": false, "fifo/x": false,
		"inside": true, "inside/made": true, "real": true, "./real//": true, "fifo": true,
	} {
		i++
		got, err := m.SubPath(t.Context(), volume.SubPathRequest{Dir: dir, Volume: out["scratch"], SubPath: path, Container: "app", Index: i})
		if (err == nil) != allowed {
			t.Errorf("%s: %q %v, want allowed %v", path, got, err, allowed)
		}
		if err != nil && strings.Contains(err.Error(), outside) {
			t.Errorf("%s: the error tells of the host: %v", path, err)
		}
	}
	if list, _ := os.ReadDir(outside); len(list) != 1 {
		t.Errorf("something was made outside: %v", list)
	}
}

// A container that swaps a directory for a link as fast as it can never gets
// anything but its own volume.
func TestSubPathRace(t *testing.T) {
	root(t)
	m := volume.New(volume.Options{})
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := podDir(t, m)
	out := setUp(t, m, volume.Request{Pod: volumetest.Pod(volumetest.EmptyDir("scratch", "")), Dir: dir})
	x, y := filepath.Join(out["scratch"].Path, "x"), filepath.Join(out["scratch"].Path, "y")
	if err := os.Symlink(outside, y); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(x, 0o755); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				tmp := x + "-tmp"
				_ = os.Rename(x, tmp)
				_ = os.Rename(y, x)
				_ = os.Rename(tmp, y)
			}
		}
	})
	for i := range 300 {
		at, err := m.SubPath(t.Context(), volume.SubPathRequest{Dir: dir, Volume: out["scratch"], SubPath: "x/made", Container: "app", Index: i})
		if err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(at, "secret")); err == nil {
			t.Fatal("a subPath leads out of its volume")
		}
	}
	close(stop)
	wg.Wait()
	if list, _ := os.ReadDir(outside); len(list) != 1 {
		t.Errorf("something was made outside: %v", list)
	}
}

func TestSubPathFollowsWhatReplacedIt(t *testing.T) {
	root(t)
	m := volume.New(volume.Options{})
	dir := podDir(t, m)
	out := setUp(t, m, volume.Request{Pod: volumetest.Pod(volumetest.EmptyDir("scratch", "")), Dir: dir})
	req := volume.SubPathRequest{Dir: dir, Volume: out["scratch"], SubPath: "p", Container: "app"}
	at, err := m.SubPath(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	in := filepath.Join(out["scratch"].Path, "p")
	if err := os.Remove(in); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in, []byte("now a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := m.SubPath(t.Context(), req); again != at || err != nil {
		t.Fatal(again, err)
	}
	if b, err := os.ReadFile(at); string(b) != "now a file" {
		t.Errorf("%q, %v", b, err)
	}
}
