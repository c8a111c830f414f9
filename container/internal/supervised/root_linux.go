package supervised

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/containertest"
	"github.com/lifepod/lifepod/container/runc"
	"github.com/lifepod/lifepod/internal/testutil"
)

// Idle is how long a test's supervisor stays.
const Idle = 50 * time.Millisecond

// Root makes a root directory, with a root file system in it; its run directory is
// Run(root). At the test's end it waits for the supervisor's, and nothing may be
// left. It needs root.
func Root(t testing.TB) string {
	t.Helper()
	testutil.RequireRoot(t)
	root, err := os.MkdirTemp("", "lp")
	if err != nil {
		t.Fatal(err)
	}
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{root}, Names: []string{"lifepod-" + runc.RootID(root)}})
	t.Cleanup(func() {
		awaitEnd(t, root)
		os.RemoveAll(root)
	})
	if err := os.Chmod(root, 0o711); err != nil {
		t.Fatal(err)
	}
	containertest.Rootfs(t, Rootfs(root))
	return root
}

// Run and Rootfs are directories of a root.
func Run(root string) string    { return filepath.Join(root, "run") }
func Rootfs(root string) string { return filepath.Join(root, "rootfs") }

// awaitEnd waits until no supervisor of the root lives.
func awaitEnd(t testing.TB, root string) {
	t.Helper()
	f, err := os.Open(filepath.Join(Run(root), "supervisor.alive"))
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	for end := time.Now().Add(20 * time.Second); unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil; {
		if time.Now().After(end) {
			t.Error("the supervisor does not end")
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// OCI is a small spec that runs args in the root's file system.
func OCI(root, id string, args ...string) *specs.Spec {
	return containertest.OCI(Rootfs(root), "/lifepod-"+runc.RootID(root)+"/"+id, args...)
}

// Env is the conformance suite's, with a runtime of the root.
func Env(root string, r container.Runtime) containertest.Env {
	oci := func(id string, args ...string) *specs.Spec { return OCI(root, id, args...) }
	return containertest.Env{Runtime: r, Dir: root, OCI: oci}
}
