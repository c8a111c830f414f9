package containerd_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/cgroups/cgroupstest"
	"github.com/lifepod/lifepod/cgroups/containerd"
	"github.com/lifepod/lifepod/internal/sys"
)

// TestStartInChild is what the tests below run in processes of their own: a pod's
// cgroup, then one with a limit that the kernel refuses.
func TestStartInChild(t *testing.T) {
	root := os.Getenv("CONTAINERD_TEST_START")
	if root == "" {
		return
	}
	m, err := containerd.Open(cgroups.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Ensure(context.Background(), root+"/kubepods/burstable/pod1", cgroupstest.Full()); err != nil {
		t.Fatal(err)
	}
	err = m.Ensure(context.Background(), root+"/refused", cgroups.Values{CPUQuota: ptr[int64](1 << 60), CPUPeriod: ptr[uint64](100_000)})
	if err == nil || errors.Is(err, sys.ErrFailpoint) || len(dirs(root+"/refused")) > 0 {
		t.Fatal(err, dirs(root+"/refused"))
	}
}

// start runs it with a failpoint armed.
func start(root, point string) (string, error) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestStartInChild$")
	cmd.Env = append(os.Environ(), "CONTAINERD_TEST_START="+root, sys.FailpointEnv+"="+point, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A process that is killed before or after any effect leaves what the next one
// can finish and undo.
func TestCrashPoints(t *testing.T) {
	m, _ := manager(t)
	effects := map[string]bool{"make": true, "rmdir": true, "limit": m.Unified(), "v1": !m.Unified()}
	for _, e := range sys.Effects() {
		name, ours := strings.CutPrefix(e, "containerd/")
		if !ours {
			continue
		}
		reached, known := effects[name]
		if !known {
			t.Errorf("no test of effect %s", e)
		}
		delete(effects, name)
		for _, at := range []string{":before:kill", ":after:kill", ":before:error", ":after:error"} {
			if !reached {
				continue
			}
			m, root := manager(t)
			out, err := start(root, e+at)
			if err == nil || (err.Error() == "signal: killed") != strings.HasSuffix(at, "kill") {
				t.Errorf("%s was not reached: %v %s", e+at, err, out)
			}
			pod := root + "/kubepods/burstable/pod1"
			if err := m.Ensure(t.Context(), pod, cgroupstest.Full()); err != nil {
				t.Errorf("start after %s: %v", e+at, err)
			}
			if v, err := m.Limits(t.Context(), pod); err != nil || *v.Memory != *cgroupstest.Full().Memory {
				t.Errorf("limits after %s: %+v, %v", e+at, v, err)
			}
			if err := m.Remove(t.Context(), root); err != nil {
				t.Errorf("stop after %s: %v", e+at, err)
			}
		}
	}
	if len(effects) > 0 {
		t.Errorf("no effects %v", effects)
	}
}

// Nothing is made or limited by package cgroups where the library can: it works
// with cgroups' own effects failing.
func TestTheLibraryDoesIt(t *testing.T) {
	for _, e := range []string{"mkdir", "delegate", "limit"} {
		_, root := manager(t)
		if out, err := start(root, "cgroups/"+e+":before:error"); err != nil {
			t.Errorf("without cgroups/%s: %v %s", e, err, out)
		}
		if len(dirs(root+"/kubepods/burstable/pod1")) == 0 {
			t.Error("nothing was made")
		}
	}
}
