package containerd_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/cgroups/cgroupstest"
	"github.com/lifepod/lifepod/cgroups/containerd"
	"github.com/lifepod/lifepod/internal/testutil"
)

func ptr[T any](v T) *T { return &v }

// manager opens a root of which nothing may be left at the end.
func manager(t testing.TB) (*containerd.Manager, string) {
	t.Helper()
	testutil.RequireRoot(t)
	root := "/lifepod-t-" + strings.ToLower(rand.Text()[:10])
	testutil.CheckLeaks(t, testutil.Scope{Names: []string{root[1:]}})
	m, err := containerd.Open(cgroups.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Remove(context.Background(), root); err != nil {
			t.Error(err)
		}
	})
	return m, root
}

func limits() cgroups.Values {
	return cgroups.Values{
		CPUShares: ptr[uint64](256), CPUQuota: ptr[int64](50_000), CPUPeriod: ptr[uint64](100_000),
		Memory: ptr[int64](64 << 20), PidsMax: ptr[int64](1024),
	}
}

// dirs lists where a cgroup exists.
func dirs(cgroup string) []string {
	var found []string
	for _, base := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		d, _ := filepath.Glob(base + cgroup)
		found = append(found, d...)
	}
	return found
}

// join starts a process that moves into a cgroup, in every hierarchy, before it
// becomes what args say.
func join(t testing.TB, cgroup string, args ...string) *exec.Cmd {
	t.Helper()
	if len(args) == 0 {
		args = []string{"sleep", "300"}
	}
	cmd := exec.Command("sh", "-c", `read go; exec "$@"`, "sh")
	cmd.Args = append(cmd.Args, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	for _, d := range dirs(cgroup) {
		if err := os.WriteFile(filepath.Join(d, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := in.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// alive tells a process that runs from one that is gone or not waited for yet.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	after := string(b[strings.LastIndexByte(string(b), ')')+1:])
	return !strings.HasPrefix(after, " Z") && !strings.HasPrefix(after, " X")
}

func TestConformance(t *testing.T) {
	testutil.RequireRoot(t)
	cgroupstest.Run(t, func(t *testing.T) cgroupstest.Impl {
		m, root := manager(t)
		return cgroupstest.Impl{Manager: m, Root: root, Join: func(t *testing.T, path string) func() bool {
			pid := join(t, path).Process.Pid
			return func() bool { return alive(pid) }
		}}
	})
}

// files reads what limits a cgroup and how it is set up.
func files(t *testing.T, cgroup string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, dir := range dirs(cgroup) {
		hierarchy := strings.TrimSuffix(dir, cgroup)
		for _, pattern := range []string{
			"cpu.shares", "cpu.cfs_*", "cpu.weight", "cpu.max", "memory.limit_in_bytes", "memory.max", "memory.min", "memory.low", "memory.high",
			"memory.oom.group", "pids.max", "hugetlb.*.limit_in_bytes", "hugetlb.*.max", "cpuset.cpus", "cpuset.mems", "cgroup.controllers", "cgroup.subtree_control",
		} {
			names, _ := filepath.Glob(filepath.Join(dir, pattern))
			for _, name := range names {
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				found[hierarchy+" "+filepath.Base(name)] = string(b)
			}
		}
	}
	return found
}

// Both implementations leave the same in the kernel's files, whatever they are
// told, and in whichever order.
func TestSameFiles(t *testing.T) {
	m, root := manager(t)
	steps := []cgroups.Values{
		{},
		limits(),
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
		library, own := files(t, root+"/kubepods/library"), files(t, root+"/kubepods/own")
		if len(own) < 5 || !reflect.DeepEqual(library, own) {
			t.Errorf("step %d: the library's files are\n%v, our own\n%v", i, library, own)
		}
	}
}

// Both read the same of a cgroup with a process in it.
func TestSameStats(t *testing.T) {
	m, root := manager(t)
	pod := root + "/kubepods/pod1"
	if err := m.Ensure(t.Context(), pod, limits()); err != nil {
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

// An OOM kill below a cgroup is one of it, on v1 too.
func TestOOMIsCounted(t *testing.T) {
	m, root := manager(t)
	c := root + "/pod1/c1"
	if err := m.Ensure(t.Context(), c, cgroups.Values{Memory: ptr[int64](16 << 20)}); err != nil {
		t.Fatal(err)
	}
	pid := join(t, c, "sh", "-c", "head -c 64000000 /dev/zero | tail").Process.Pid
	for end := time.Now().Add(time.Minute); alive(pid) && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
	for _, p := range []string{root + "/pod1", c} {
		s, err := m.Stats(t.Context(), p)
		own, ownErr := m.Manager.Stats(t.Context(), p)
		if err != nil || ownErr != nil || s.OOMKills == 0 || s.OOMKills != own.OOMKills {
			t.Errorf("%s: %+v, %v; our own %+v, %v", p, s, err, own, ownErr)
		}
	}
}

// A failure leaves nothing new, and all that was there.
func TestEnsureUndoes(t *testing.T) {
	m, root := manager(t)
	pod := root + "/kubepods/pod1"
	bad := []cgroups.Values{{CPUQuota: ptr[int64](1 << 60), CPUPeriod: ptr[uint64](100_000)}}
	if m.Unified() {
		bad = append(bad, cgroups.Values{Unified: map[string]string{"memory.no_such": "1"}}, cgroups.Values{Unified: map[string]string{"memory.low": "lots"}})
	}
	for _, v := range bad {
		if err := m.Ensure(t.Context(), pod, v); err == nil || !strings.Contains(err.Error(), "cgroup "+pod) {
			t.Errorf("%+v: %v", v, err)
		}
		if left := dirs(pod); len(left) > 0 {
			t.Errorf("left %v", left)
		}
	}
	if err := m.Ensure(t.Context(), pod, limits()); err != nil {
		t.Fatal(err)
	}
	before := files(t, pod)
	for _, v := range bad {
		if err := m.Ensure(t.Context(), pod, v); err == nil {
			t.Errorf("%+v was taken", v)
		}
		if after := files(t, pod); !reflect.DeepEqual(before, after) {
			t.Errorf("%+v made of\n%v\n%v", v, before, after)
		}
	}
}

func TestMemoryLimitBelowUsageIsRefused(t *testing.T) {
	m, root := manager(t)
	pod := root + "/pod1"
	if err := m.Ensure(t.Context(), pod, cgroups.Values{Memory: ptr[int64](512 << 20)}); err != nil {
		t.Fatal(err)
	}
	pid := join(t, pod, "sh", "-c", `x=$(head -c 12000000 /dev/zero | tr '\0' x); sleep 300`).Process.Pid
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		s, err := m.Stats(t.Context(), pod)
		if err != nil || time.Now().After(end) {
			t.Fatal(s, err)
		}
		if s.MemoryRSS > 10<<20 {
			break
		}
	}
	err := m.Ensure(t.Context(), pod, cgroups.Values{Memory: ptr[int64](4 << 20)})
	if err == nil || !strings.Contains(err.Error(), "a memory limit of 4194304 bytes is below the ") || !alive(pid) {
		t.Errorf("4 MiB: %v; the process lives: %v", err, alive(pid))
	}
}

// In a scope that was delegated processes must first go to a cgroup of their own:
// the error names the scope, where the library would name a cgroup below.
func TestProcessesInADelegatedScope(t *testing.T) {
	m, root := manager(t)
	if !m.Unified() {
		return // v1 knows no such rule
	}
	scope := root + "/some.scope"
	if err := os.MkdirAll("/sys/fs/cgroup"+scope, 0o755); err != nil {
		t.Fatal(err)
	}
	join(t, scope)
	pod := scope + "/pods/pod1"
	err := m.Ensure(t.Context(), pod, limits())
	if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "processes live in cgroup "+scope+" itself") {
		t.Errorf("with a process in it: %v", err)
	}
	if left := dirs(pod); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// without returns a mountinfo file without a controller's line, or with it
// elsewhere.
func mountinfo(t *testing.T, controller, elsewhere string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var kept strings.Builder
	for line := range strings.Lines(string(b)) {
		dir := "/sys/fs/cgroup/" + controller
		if isIt := strings.Contains(line, " "+dir+" "); isIt && elsewhere == "" {
			continue
		} else if isIt {
			line = strings.Replace(line, dir, elsewhere, 1)
		}
		kept.WriteString(line)
	}
	file := filepath.Join(t.TempDir(), "mountinfo")
	if err := os.WriteFile(file, []byte(kept.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
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

// The same program as another user gets an error that says what to do.
func TestUnprivileged(t *testing.T) {
	if os.Getenv("CONTAINERD_TEST_NOBODY") != "" {
		_, err := containerd.Open(cgroups.Options{Root: "/lifepod-t-nobody"})
		var access *cgroups.AccessError
		fmt.Println("told:", errors.As(err, &access), err)
		return
	}
	testutil.RequireRoot(t)
	dir, err := os.MkdirTemp("", "containerd-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "test")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(exe, b, 0o755)); err != nil { //nolint:gosec // another user runs it
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestUnprivileged$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = []string{"CONTAINERD_TEST_NOBODY=1", "GORACE=atexit_sleep_ms=0"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "told: true cgroups in /sys/fs/cgroup") {
		t.Errorf("%v: %s", err, out)
	}
}

// An ancestor that another call takes away in between is made again.
func TestEnsureWhilePruned(t *testing.T) {
	m, root := manager(t)
	tier := root + "/kubepods/burstable"
	for range 100 {
		pruned := make(chan error)
		go func() { pruned <- m.Prune(context.Background(), tier) }()
		if err := m.Ensure(t.Context(), tier+"/pod1", limits()); err != nil {
			t.Error(err)
		}
		if err := errors.Join(<-pruned, m.Remove(t.Context(), tier+"/pod1")); err != nil {
			t.Fatal(err)
		}
	}
}

// A mixture of both implementations on one root is none to the kernel.
func TestMixed(t *testing.T) {
	m, root := manager(t)
	own, err := cgroups.Open(cgroups.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"/a", "/b"} {
		if err := errors.Join(own.Ensure(t.Context(), root+"/tier"+p, limits()), m.Ensure(t.Context(), root+"/tier"+p, limits())); err != nil {
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
