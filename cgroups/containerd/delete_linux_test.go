package containerd_test

import (
	"testing"

	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/cgroups/cgroupstest"
)

// libraryDelete removes a cgroup as the library does.
func libraryDelete(unified bool, p string) error {
	if !unified {
		g, err := cgroup1.Load(cgroup1.StaticPath(p))
		if err != nil {
			return err
		}
		return g.Delete()
	}
	g, err := cgroup2.Load(p)
	if err != nil {
		return err
	}
	return g.Delete()
}

// The reasons that the package gives for not using the library's Delete hold: it
// kills nothing, and v1's knows no other tree than its own.
func TestWhyRemoveIsOurs(t *testing.T) {
	m, root := manager(t)
	pod := root + "/kubepods/pod1"
	if err := m.Ensure(t.Context(), pod+"/c1", cgroups.Values{}); err != nil {
		t.Fatal(err)
	}
	pid := join(t, pod+"/c1").Process.Pid
	if err := libraryDelete(m.Unified(), pod); err == nil || !alive(pid) {
		t.Errorf("the library's Delete kills now: %v; the process lives: %v", err, alive(pid))
	}
	if err := m.Remove(t.Context(), pod); err != nil || alive(pid) || len(dirs(pod)) > 0 {
		t.Errorf("Remove: %v, the process lives: %v, left %v", err, alive(pid), dirs(pod))
	}
	if m.Unified() {
		return
	}
	if err := m.Ensure(t.Context(), pod, cgroupstest.Full()); err != nil {
		t.Fatal(err)
	}
	if err := libraryDelete(false, pod); err != nil || len(dirs(pod)) == 0 {
		t.Errorf("the library's Delete finds the unified hierarchy now: %v, %v", err, dirs(pod))
	}
}
