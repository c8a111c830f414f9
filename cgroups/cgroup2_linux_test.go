package cgroups_test

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/internal/testutil"
)

// In a scope that was delegated, as by systemd, processes must first go to a
// cgroup of their own: v2 allows none where controllers are offered below. That is
// said, and then it works.
func TestProcessesInADelegatedScope(t *testing.T) {
	testutil.RequireCgroup2(t)
	m, root := open(t)
	scope := root + "/some.scope"
	if err := os.MkdirAll("/sys/fs/cgroup"+scope+"/own", 0o755); err != nil {
		t.Fatal(err)
	}
	pid := join(t, scope).Process.Pid
	pod := scope + "/pods/pod1"
	err := m.Ensure(t.Context(), pod, limits())
	if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "processes live in cgroup "+scope+" itself") {
		t.Errorf("with a process in it: %v", err)
	}
	if left := dirs(pod); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if err := os.WriteFile("/sys/fs/cgroup"+scope+"/own/cgroup.procs", []byte(strconv.Itoa(pid)), 0); err != nil {
		t.Fatal(err)
	}
	if err := m.Ensure(t.Context(), pod, limits()); err != nil {
		t.Fatal(err)
	}
	if v, err := m.Limits(t.Context(), pod); err != nil || *v.Memory != *limits().Memory {
		t.Errorf("%+v, %v", v, err)
	}
	if err := m.Remove(t.Context(), scope+"/pods"); err != nil || !alive(pid) {
		t.Errorf("%v; the other process lives: %v", err, alive(pid))
	}
}
