package image_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/internal/testutil"
)

// nobody is a user that owns nothing here.
const nobody = 54321

func snapshots(sn image.Snapshotter, noMount bool) func(*testing.T) imagetest.Snapshots {
	return func(t *testing.T) imagetest.Snapshots {
		dir := t.TempDir()
		testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{dir}})
		return imagetest.Snapshots{Snapshotter: sn, Dir: dir, NoMount: noMount}
	}
}

func TestOverlay(t *testing.T) {
	testutil.RequireRoot(t)
	imagetest.RunSnapshotter(t, snapshots(image.Overlay{}, false))
}

func TestOverlayWithUserAttributes(t *testing.T) {
	testutil.RequireRoot(t)
	imagetest.RunSnapshotter(t, snapshots(image.Overlay{User: true}, false))
}

func TestCopy(t *testing.T) {
	testutil.RequireRoot(t)
	imagetest.RunSnapshotter(t, snapshots(image.Copy{}, false))
}

// As an ordinary user: copies, which are looked at where they lie.
func TestCopyAsUser(t *testing.T) {
	if asNobody(t, false) {
		imagetest.RunSnapshotter(t, snapshots(image.Copy{User: true}, true))
	}
}

// As an ordinary user who made a user namespace with one id.
func TestOverlayInUserNamespace(t *testing.T) {
	if asNobody(t, true) {
		imagetest.RunSnapshotter(t, snapshots(image.Overlay{User: true}, false))
	}
}

func TestCopyInUserNamespace(t *testing.T) {
	if asNobody(t, true) {
		imagetest.RunSnapshotter(t, snapshots(image.Copy{User: true}, false))
	}
}

// What is chosen where, and the line that says so.
func TestProbe(t *testing.T) {
	testutil.RequireRoot(t)
	for user, want := range map[bool]string{false: "overlayfs", true: "overlayfs with userxattr"} {
		if sn, why, err := image.ProbeSnapshotter(t.TempDir(), user); err != nil || sn.String() != want || why != "it mounts here" {
			t.Errorf("user=%v: %v, %q, %v", user, sn, why, err)
		}
	}
	if sn, _, err := image.ProbeSnapshotter("/proc", false); err == nil {
		t.Errorf("chose %v where nothing can be made", sn)
	}
}

func TestProbeAsUser(t *testing.T) {
	if asNobody(t, false) {
		sn, why, err := image.ProbeSnapshotter(t.TempDir(), false)
		if err != nil || sn != (image.Copy{User: true}) || !strings.Contains(why, "operation not permitted") {
			t.Errorf("%v, %q, %v", sn, why, err)
		}
	}
}

func TestProbeInUserNamespace(t *testing.T) {
	if asNobody(t, true) {
		sn, why, err := image.ProbeSnapshotter(t.TempDir(), false)
		if err != nil || sn != (image.Overlay{User: true}) || !strings.Contains(why, "privileged files") {
			t.Errorf("%v, %q, %v", sn, why, err)
		}
	}
}

const asEnv = "IMAGE_TEST_AS"

// asNobody runs the calling test once more in a process of another user, who
// may have made a user namespace, and says whether this is that process.
func asNobody(t *testing.T, namespace bool) bool {
	t.Helper()
	switch os.Getenv(asEnv) {
	case "user":
		return true
	case "maker": // of the namespace
		again(t, "user", &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		})
		return false
	}
	testutil.RequireRoot(t)
	who := "user"
	if namespace {
		who = "maker"
	}
	again(t, who, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}})
	return false
}

// again runs the calling test in another process, which has to pass it.
func again(t *testing.T, as string, attr *syscall.SysProcAttr) {
	t.Helper()
	tmp, err := os.MkdirTemp("/tmp", "lifepod-image-")
	if err == nil && attr.Credential != nil {
		err = os.Chown(tmp, nobody, nobody)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.v", "-test.timeout=5m", "-test.run=^"+t.Name()+"$")
	cmd.Dir, cmd.SysProcAttr = tmp, attr
	cmd.Env = append(os.Environ(), asEnv+"="+as, "TMPDIR="+tmp, "LIFEPOD_ROOT_TESTS=0")
	attr.Pdeathsig = syscall.SIGKILL
	out, err := cmd.CombinedOutput()
	if err == nil && !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		err = errors.New("it did not pass")
	}
	if err != nil {
		t.Errorf("as %s: %v\n%s", as, err, out)
	}
}

// A store of an ordinary user: no root anywhere.
func TestStoreAsUser(t *testing.T) {
	for _, namespace := range []bool{false, true} {
		if !asNobody(t, namespace) {
			continue
		}
		imagetest.Run(t, func(t *testing.T) imagetest.Subject {
			s, reg, host := openAs(t, image.Options{})
			return imagetest.Subject{Store: s, Publish: func(t *testing.T, name string, img imagetest.Image) string {
				if _, err := reg.Add(name, img); err != nil {
					t.Fatal(err)
				}
				return host + "/" + name
			}}
		})
		return
	}
}

// Layers that one process unpacked are of no use to another that has to have
// them in another form.
func TestForms(t *testing.T) {
	s, reg, host := open(t, image.Options{})
	img := pull(t, s, reg, host, "a:1", imagetest.Random(1, 1, 100))
	again, err := image.Open(s.Root(), image.Options{NoSync: true, Snapshotter: image.Copy{User: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := again.Prepare(t.Context(), "k", img.ID); err == nil || !strings.Contains(err.Error(), `in the form "trusted"`) {
		t.Errorf("%v", err)
	}
	for i, sn := range []image.Snapshotter{image.Copy{}, image.Overlay{}} {
		same, err := image.Open(s.Root(), image.Options{NoSync: true, Snapshotter: sn})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = same.Close() })
		mount(t, same, fmt.Sprint("k", i), img, false)
	}
}
