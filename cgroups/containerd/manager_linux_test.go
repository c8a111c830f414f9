package containerd_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/cgroups/cgroupstest"
	"github.com/lifepod/lifepod/cgroups/containerd"
	"github.com/lifepod/lifepod/internal/testutil"
)

var (
	dirs  = cgroupstest.Dirs
	join  = cgroupstest.Join
	alive = cgroupstest.Alive
)

func ptr[T any](v T) *T { return &v }

// manager opens a root of which nothing may be left at the end.
func manager(t testing.TB) (*containerd.Manager, string) {
	t.Helper()
	return cgroupstest.Open(t, containerd.Open)
}

func TestConformance(t *testing.T) {
	testutil.RequireRoot(t)
	cgroupstest.Run(t, cgroupstest.OnKernel(containerd.Open))
}

func TestKernel(t *testing.T) {
	testutil.RequireRoot(t)
	cgroupstest.RunKernel(t, containerd.Open)
}

// Both implementations leave the same in the kernel's files, whatever they are
// told, and in whichever order.
func TestSameFiles(t *testing.T) {
	m, root := manager(t)
	steps := []cgroups.Values{
		{},
		cgroupstest.Full(),
		{CPUShares: ptr[uint64](2), PidsMax: ptr[int64](-1)},
		{CPUShares: ptr[uint64](262144), Memory: ptr[int64](0), PidsMax: ptr[int64](0)},
		{CPUShares: ptr[uint64](1126), CPUQuota: ptr[int64](5_000), CPUPeriod: ptr[uint64](5_000), Memory: ptr[int64](1 << 40)},
		{CPUQuota: ptr[int64](20_000), PidsMax: ptr[int64](7)},
		{CPUQuota: ptr[int64](-1), Memory: ptr[int64](-1)},
		{CPUQuota: ptr[int64](-1), CPUPeriod: ptr[uint64](50_000)},
	}
	if m.Unified() {
		steps = append(steps,
			cgroups.Values{Unified: map[string]string{"memory.min": "4096", "memory.low": "1048576", "memory.high": "33554432", "memory.oom.group": "1"}},
			cgroups.Values{Memory: ptr[int64](1 << 30), Unified: map[string]string{"memory.high": "max", "cpu.weight": "77"}})
	}
	for _, size := range m.HugePageSizes() {
		steps = append(steps, cgroups.Values{HugePages: map[string]int64{size: 0, "3PB": 0}},
			cgroups.Values{HugePages: map[string]int64{size: 2 << 30}}, cgroups.Values{HugePages: map[string]int64{size: -1}})
	}
	for i, v := range steps {
		if err := m.Ensure(t.Context(), root+"/kubepods/library", v); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if err := m.Manager.Ensure(t.Context(), root+"/kubepods/own", v); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		library, own := cgroupstest.Limits(t, root+"/kubepods/library"), cgroupstest.Limits(t, root+"/kubepods/own")
		if len(own) < 5 || !reflect.DeepEqual(library, own) {
			t.Errorf("step %d: the library's files are\n%v, our own\n%v", i, library, own)
		}
	}
}

// Both read the same of a cgroup with a process in it.
func TestSameStats(t *testing.T) {
	m, root := manager(t)
	pod := root + "/kubepods/pod1"
	if err := m.Ensure(t.Context(), pod, cgroupstest.Full()); err != nil {
		t.Fatal(err)
	}
	pid := join(t, pod, "sh", "-c", `x=$(head -c 12000000 /dev/zero | tr '\0' x); sleep 300`).Process.Pid
	var s cgroups.Stats
	for end := time.Now().Add(time.Minute); s.MemoryRSS < 11<<20; time.Sleep(10 * time.Millisecond) {
		var err error
		if s, err = m.Stats(t.Context(), pod); err != nil || time.Now().After(end) {
			t.Fatal(s, err)
		}
	}
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s, err := m.Stats(t.Context(), pod)
	if err != nil {
		t.Fatal(err)
	}
	own, err := m.Manager.Stats(t.Context(), pod)
	if err != nil {
		t.Fatal(err)
	}
	const slack = 4 << 20 // what the kernel counts in batches
	near := func(a, b uint64) bool { return max(a, b)-min(a, b) <= slack }
	if s.MemoryLimit != 64<<20 || own.MemoryLimit != s.MemoryLimit || own.Pids != s.Pids || s.Pids == 0 || s.CPU <= 0 || own.CPU < s.CPU ||
		!near(s.MemoryUsage, own.MemoryUsage) || !near(s.MemoryWorkingSet, own.MemoryWorkingSet) || !near(s.MemoryRSS, own.MemoryRSS) {
		t.Errorf("%+v, and our own %+v", s, own)
	}
	for what, p := range map[string][2]*cgroups.Pressure{
		"cpu": {s.CPUPressure, own.CPUPressure}, "memory": {s.MemoryPressure, own.MemoryPressure}, "io": {s.IOPressure, own.IOPressure},
	} {
		if (p[0] == nil) != (p[1] == nil) {
			t.Errorf("pressure of %s: %v, and our own %v", what, p[0], p[1])
		}
	}
}

// mountinfo returns such a file without a controller's line, or with it elsewhere.
func mountinfo(t *testing.T, controller, elsewhere string) string {
	dir := "/sys/fs/cgroup/" + controller
	return cgroupstest.MountInfo(t, func(line string) string {
		if !strings.Contains(line, " "+dir+" ") {
			return line
		}
		if elsewhere == "" {
			return ""
		}
		return strings.Replace(line, dir, elsewhere, 1)
	})
}

func TestControllersThatAreNotThere(t *testing.T) {
	m, _ := manager(t)
	if m.Unified() {
		return // package cgroups tests it with files of its own
	}
	var missing *cgroups.MissingControllerError
	_, err := containerd.Open(cgroups.Options{MountInfo: mountinfo(t, "memory", "")})
	if !errors.As(err, &missing) || missing.Controller != "memory" {
		t.Error(err)
	}
	dir := t.TempDir()
	_, err = containerd.Open(cgroups.Options{MountInfo: mountinfo(t, "pids", dir)})
	if err == nil || err.Error() != fmt.Sprintf("cgroup controller %q: it is mounted at %s, and containerd's library looks in %s/pids: link the one to the other, or use package cgroups",
		"pids", dir, filepath.Dir(dir)) {
		t.Error(err)
	}
}

func TestUnprivileged(t *testing.T) { cgroupstest.Unprivileged(t, containerd.Open) }

// A mixture of both implementations on one root is none to the kernel.
func TestMixed(t *testing.T) {
	m, root := manager(t)
	own, err := cgroups.Open(cgroups.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"/a", "/b"} {
		if err := errors.Join(own.Ensure(t.Context(), root+"/tier"+p, cgroupstest.Full()), m.Ensure(t.Context(), root+"/tier"+p, cgroupstest.Full())); err != nil {
			t.Fatal(err)
		}
	}
	list, err := m.List(t.Context(), root+"/tier")
	if err != nil || !slices.Equal(list, []string{root + "/tier/a", root + "/tier/b"}) {
		t.Error(list, err)
	}
	for _, p := range list {
		if err := m.Remove(t.Context(), p); err != nil {
			t.Error(err)
		}
	}
	if err := m.Prune(t.Context(), root+"/tier"); err != nil || len(dirs(root)) > 0 {
		t.Error(err, dirs(root))
	}
}
