package cgroups_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/cgroups/cgroupstest"
	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/internal/testutil"
)

// start makes and limits a pod's cgroup with a process in it, stop removes it.
func start(m *cgroups.Manager, root string) error {
	return m.Ensure(context.Background(), root+"/kubepods/burstable/pod1", cgroupstest.Full())
}

func stop(m *cgroups.Manager, root string) error { return m.Remove(context.Background(), root) }

// A process that is killed before or after any effect leaves what the next one
// can finish and undo.
func TestCrashPoints(t *testing.T) {
	if root := os.Getenv("CGROUPS_TEST_CRASH"); root != "" {
		m, err := cgroups.Open(cgroups.Options{Root: root})
		if err != nil {
			t.Fatal(err)
		}
		if err := start(m, root); err != nil {
			t.Fatal(err)
		}
		join(t, root+"/kubepods/burstable/pod1")
		if err := stop(m, root); err != nil {
			t.Fatal(err)
		}
		return
	}
	testutil.RequireRoot(t)
	points := []string{"cgroups/mkdir:after:kill:2", "cgroups/rmdir:after:kill:2"}
	for _, e := range sys.Effects() {
		if strings.HasPrefix(e, "cgroups/") {
			points = append(points, e+":before:kill", e+":after:kill", e+":before:error", e+":after:error")
		}
	}
	if len(points) != 2+5*4 {
		t.Fatalf("%d points: %v", len(points), points)
	}
	for _, point := range points {
		m, root := open(t)
		cmd := exec.Command(os.Args[0], "-test.run=^TestCrashPoints$")
		cmd.Env = append(os.Environ(), "CGROUPS_TEST_CRASH="+root, sys.FailpointEnv+"="+point, "GORACE=atexit_sleep_ms=0")
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("%s was not reached: %s", point, out)
		}
		if err := start(m, root); err != nil {
			t.Errorf("start after %s: %v", point, err)
		}
		if err := stop(m, root); err != nil {
			t.Errorf("stop after %s: %v", point, err)
		}
	}
}
