package cgroupstest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/cgroups"
)

// RunKernel holds an implementation that works on this machine's cgroups to what
// no fake can show.
func RunKernel[M Manager](t *testing.T, open func(cgroups.Options) (M, error)) {
	for name, test := range map[string]func(t *testing.T, m Manager, root string){
		"FailureLeavesNothingNew":    failureLeavesNothingNew,
		"MemoryLimitBelowUsage":      memoryLimitBelowUsage,
		"OOMIsCounted":               oomIsCounted,
		"ProcessesInADelegatedScope": processesInADelegatedScope,
		"EnsureWhilePruned":          ensureWhilePruned,
	} {
		t.Run(name, func(t *testing.T) {
			m, root := Open(t, open)
			test(t, m, root)
		})
	}
}

// Limits reads what limits a cgroup in the kernel's files, each by its path.
func Limits(t testing.TB, cgroup string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, dir := range Dirs(cgroup) {
		for _, pattern := range []string{
			"cpu.shares", "cpu.cfs_*", "cpu.weight", "cpu.max", "memory.limit_in_bytes", "memory.max", "memory.min", "memory.low", "memory.high",
			"memory.oom.group", "pids.max", "hugetlb.*.limit_in_bytes", "hugetlb.*.max", "cpuset.cpus", "cpuset.mems", "cgroup.controllers", "cgroup.subtree_control",
		} {
			names, _ := filepath.Glob(filepath.Join(dir, pattern))
			for _, name := range names {
				b, err := os.ReadFile(name)
				must(t, err)
				found[strings.Replace(name, cgroup+"/", "/", 1)] = string(b)
			}
		}
	}
	return found
}

// failureLeavesNothingNew: what the kernel refuses is gone again, or as it was.
func failureLeavesNothingNew(t *testing.T, m Manager, root string) {
	pod := root + "/kubepods/pod1"
	bad := []cgroups.Values{{CPUQuota: ptr[int64](1 << 60), CPUPeriod: ptr[uint64](100_000)}}
	if Unified() {
		bad = append(bad, cgroups.Values{Unified: map[string]string{"memory.no_such": "1"}}, cgroups.Values{Unified: map[string]string{"memory.low": "lots"}})
	}
	for _, v := range bad {
		if err := m.Ensure(t.Context(), pod, v); err == nil || !strings.Contains(err.Error(), "cgroup "+pod) {
			t.Errorf("%+v: %v", v, err)
		}
		if left := Dirs(pod); len(left) > 0 {
			t.Errorf("left %v", left)
		}
	}
	must(t, m.Ensure(t.Context(), pod, Full()))
	before := Limits(t, pod)
	for _, v := range bad {
		if err := m.Ensure(t.Context(), pod, v); err == nil {
			t.Errorf("%+v was taken", v)
		}
		if after := Limits(t, pod); !reflect.DeepEqual(before, after) {
			t.Errorf("%+v made of\n%v\n%v", v, before, after)
		}
	}
}

func memoryLimitBelowUsage(t *testing.T, m Manager, root string) {
	pod := root + "/pod1"
	must(t, m.Ensure(t.Context(), pod, cgroups.Values{Memory: ptr[int64](512 << 20)}))
	pid := Join(t, pod, "sh", "-c", `x=$(head -c 12000000 /dev/zero | tr '\0' x); sleep 300`).Process.Pid
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		s, err := m.Stats(t.Context(), pod)
		must(t, err)
		if s.MemoryRSS > 10<<20 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the process never used its memory: %+v", s)
		}
	}
	err := m.Ensure(t.Context(), pod, cgroups.Values{Memory: ptr[int64](4 << 20)})
	if err == nil || !strings.Contains(err.Error(), "a memory limit of 4194304 bytes is below the ") {
		t.Errorf("4 MiB were accepted: %v", err)
	}
	if !Alive(pid) {
		t.Error("the process was killed for a new limit")
	}
}

// oomIsCounted, where it was and above.
func oomIsCounted(t *testing.T, m Manager, root string) {
	c := root + "/pod1/c1"
	must(t, m.Ensure(t.Context(), c, cgroups.Values{Memory: ptr[int64](16 << 20)}))
	pid := Join(t, c, "sh", "-c", "head -c 64000000 /dev/zero | tail").Process.Pid
	for end := time.Now().Add(time.Minute); Alive(pid) && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
	for _, p := range []string{root + "/pod1", c} {
		if s, err := m.Stats(t.Context(), p); err != nil || s.OOMKills == 0 || s.CPU == 0 {
			t.Errorf("%s: %+v, %v", p, s, err)
		}
	}
}

// processesInADelegatedScope, as by systemd, must first go to a cgroup of their
// own: v2 allows none where controllers are offered below. That is said of the
// cgroup whose fault it is, and then it works.
func processesInADelegatedScope(t *testing.T, m Manager, root string) {
	if !Unified() {
		return // v1 has no such rule
	}
	scope := root + "/some.scope"
	must(t, os.MkdirAll("/sys/fs/cgroup"+scope+"/own", 0o755))
	pid := Join(t, scope).Process.Pid
	pod := scope + "/pods/pod1"
	err := m.Ensure(t.Context(), pod, Full())
	if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "processes live in cgroup "+scope+" itself") {
		t.Errorf("with a process in it: %v", err)
	}
	if left := Dirs(pod); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	must(t, os.WriteFile("/sys/fs/cgroup"+scope+"/own/cgroup.procs", []byte(strconv.Itoa(pid)), 0))
	must(t, m.Ensure(t.Context(), pod, Full()))
	if v, err := m.Limits(t.Context(), pod); err != nil || *v.Memory != *Full().Memory {
		t.Errorf("%+v, %v", v, err)
	}
	if err := m.Remove(t.Context(), scope+"/pods"); err != nil || !Alive(pid) {
		t.Errorf("%v; the other process lives: %v", err, Alive(pid))
	}
}

// ensureWhilePruned: an ancestor that another call takes away in between is made
// again.
func ensureWhilePruned(t *testing.T, m Manager, root string) {
	p, ok := m.(interface {
		Prune(ctx context.Context, path string) error
	})
	if !ok {
		t.Fatalf("%T cannot prune", m)
	}
	tier := root + "/kubepods/burstable"
	for range 100 {
		pruned := make(chan error)
		go func() { pruned <- p.Prune(context.Background(), tier) }()
		if err := m.Ensure(t.Context(), tier+"/pod1", Full()); err != nil {
			t.Error(err)
		}
		must(t, errors.Join(<-pruned, m.Remove(t.Context(), tier+"/pod1")))
	}
}
