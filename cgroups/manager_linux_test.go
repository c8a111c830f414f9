package cgroups_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/cgroups/cgroupstest"
	"github.com/lifepod/lifepod/internal/testutil"
)

var (
	dirs  = cgroupstest.Dirs
	join  = cgroupstest.Join
	alive = cgroupstest.Alive
)

func ptr[T any](v T) *T { return &v }

// open returns a Manager for a root of which nothing may be left at the end.
func open(t testing.TB) (*cgroups.Manager, string) {
	t.Helper()
	return cgroupstest.Open(t, cgroups.Open)
}

func TestConformance(t *testing.T) {
	testutil.RequireRoot(t)
	cgroupstest.Run(t, cgroupstest.OnKernel(cgroups.Open))
}

func TestKernel(t *testing.T) {
	testutil.RequireRoot(t)
	cgroupstest.RunKernel(t, cgroups.Open)
}

// What Ensure made is gone from every hierarchy, also where only a runtime made
// something.
func TestRemoveTakesWhatOthersMade(t *testing.T) {
	m, root := open(t)
	pod := root + "/kubepods/pod1"
	if err := m.Ensure(t.Context(), pod, cgroups.Values{}); err != nil {
		t.Fatal(err)
	}
	for _, h := range dirs("/") {
		if _, err := os.Stat(h + "cgroup.procs"); err == nil {
			_ = os.MkdirAll(h+pod+"/c1", 0o755)
		}
	}
	if err := m.Remove(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if left := dirs(pod); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// A process that forks as fast as it can does not outrun Remove.
func TestRemoveOutrunsForks(t *testing.T) {
	m, root := open(t)
	pod := root + "/kubepods/pod1"
	if err := m.Ensure(t.Context(), pod, cgroups.Values{PidsMax: ptr[int64](64)}); err != nil {
		t.Fatal(err)
	}
	join(t, pod, "sh", "-c", "while :; do sleep 60 & (sleep 60 &) ; done 2>/dev/null")
	if err := m.Remove(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if left := dirs(pod); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// A frozen process dies too.
func TestRemoveOfFrozen(t *testing.T) {
	m, root := open(t)
	pod := root + "/kubepods/pod1"
	if err := m.Ensure(t.Context(), pod, cgroups.Values{}); err != nil {
		t.Fatal(err)
	}
	freezer := "/sys/fs/cgroup/freezer" + pod
	file, frozen := freezer+"/freezer.state", "FROZEN"
	if m.Unified() {
		file, frozen = "/sys/fs/cgroup"+pod+"/cgroup.freeze", "1"
	} else if err := os.MkdirAll(freezer, 0o755); err != nil {
		t.Fatal(err)
	}
	pid := join(t, pod).Process.Pid
	if err := os.WriteFile(file, []byte(frozen), 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := m.Remove(ctx, pod); err != nil || alive(pid) {
		t.Fatal(err, alive(pid))
	}
}

// The caller is not killed by its own call.
func TestRemoveSparesTheCaller(t *testing.T) {
	if root := os.Getenv("CGROUPS_TEST_SELF"); root != "" {
		m, err := cgroups.Open(cgroups.Options{Root: root})
		if err == nil {
			err = m.Remove(context.Background(), root+"/self")
		}
		fmt.Println("told:", err)
		return
	}
	m, root := open(t)
	if err := m.Ensure(t.Context(), root+"/self", cgroups.Values{}); err != nil {
		t.Fatal(err)
	}
	var moves []string
	for _, d := range dirs(root + "/self") {
		moves = append(moves, "echo $$ >"+d+"/cgroup.procs")
	}
	cmd := exec.Command("sh", "-c", strings.Join(moves, "\n")+"\nexec \"$0\" -test.run=^TestRemoveSparesTheCaller$ -test.v", os.Args[0])
	cmd.Env = append(os.Environ(), "CGROUPS_TEST_SELF="+root, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "which is this one or the system's first, is in it") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestRemoveGivesUpWithTheContext(t *testing.T) {
	m, root := open(t)
	if err := m.Ensure(t.Context(), root+"/pod1", cgroups.Values{}); err != nil {
		t.Fatal(err)
	}
	// A child that is stopped between fork and exec in a ptrace stop would do; a
	// deadline in the past shows the same way out.
	pid := join(t, root+"/pod1").Process.Pid
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	err := m.Remove(ctx, root+"/pod1")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), strconv.Itoa(pid)) {
		t.Errorf("%v does not name process %d", err, pid)
	}
}

func TestUnifiedFiles(t *testing.T) {
	m, root := open(t)
	v := cgroups.Values{Unified: map[string]string{"memory.low": "1048576"}}
	err := m.Ensure(t.Context(), root+"/pod1", v)
	if !m.Unified() {
		if err == nil || !strings.Contains(err.Error(), "memory.low") || !strings.Contains(err.Error(), "cgroup v2") {
			t.Errorf("v1 took memory.low: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.Limits(t.Context(), root+"/pod1")
	if err != nil || got.Unified["memory.low"] != "1048576" {
		t.Errorf("%v, %v", got.Unified, err)
	}
	if err := m.Ensure(t.Context(), root+"/pod1", cgroups.Values{Unified: map[string]string{"memory.no_such": "1"}}); err == nil {
		t.Error("an unknown file was taken")
	}
}

func TestHugePages(t *testing.T) {
	m, root := open(t)
	sizes := m.HugePageSizes()
	if len(sizes) == 0 {
		err := m.Ensure(t.Context(), root+"/pod1", cgroups.Values{HugePages: map[string]int64{"2MB": 2 << 20}})
		if err == nil || !strings.Contains(err.Error(), "2MB") {
			t.Errorf("without the controller: %v", err)
		}
		return
	}
	for _, n := range []int64{2 << 30, 0} {
		if err := m.Ensure(t.Context(), root+"/pod1", cgroups.Values{HugePages: map[string]int64{sizes[0]: n, "3PB": 0}}); err != nil {
			t.Fatal(err)
		}
		v, err := m.Limits(t.Context(), root+"/pod1")
		if err != nil || v.HugePages[sizes[0]] != n {
			t.Errorf("%v, %v; want %d of %s", v.HugePages, err, n, sizes[0])
		}
	}
}

// without returns a mountinfo file without the lines that have word as an option.
func without(t *testing.T, word string) string {
	return cgroupstest.MountInfo(t, func(line string) string {
		if strings.Contains(line, " - cgroup") && strings.HasSuffix(strings.TrimSpace(line), word) {
			return ""
		}
		return line
	})
}

func TestMissingControllerOfV1(t *testing.T) {
	m, _ := open(t)
	if m.Unified() {
		return // TestMissingControllerOfV2 runs everywhere
	}
	_, err := cgroups.Open(cgroups.Options{MountInfo: without(t, ",memory")})
	var missing *cgroups.MissingControllerError
	if !errors.As(err, &missing) || missing.Controller != "memory" ||
		err.Error() != `cgroup controller "memory" is missing: it is mounted nowhere; mount -t cgroup -o memory cgroup /sys/fs/cgroup/memory` {
		t.Error(err)
	}
}

// A cpuset that cannot be filled is an error, and gone again: no process could
// enter it.
func TestCPUSetWithoutFiles(t *testing.T) {
	own, root := open(t)
	if own.Unified() {
		return // it has none to fill
	}
	dir := t.TempDir()
	m, err := cgroups.Open(cgroups.Options{Root: root, MountInfo: cgroupstest.MountInfo(t, func(line string) string {
		return strings.Replace(line, " /sys/fs/cgroup/cpuset ", " "+dir+" ", 1)
	})})
	if err != nil {
		t.Fatal(err)
	}
	err = m.Ensure(t.Context(), root+"/pod1", cgroups.Values{})
	if err == nil || !strings.Contains(err.Error(), dir+root) || !strings.Contains(err.Error(), "cpuset.cpus") {
		t.Error(err)
	}
	if left := dirs(root + "/pod1"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if left, _ := filepath.Glob(dir + root + "/pod1"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// A directory with the kernel's files stands in for a hierarchy that offers less.
func TestMissingControllerOfV2(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"mountinfo":              "41 31 0:38 / " + dir + " rw,relatime shared:9 - cgroup2 cgroup2 rw\n",
		"cgroup.controllers":     "cpu pids",
		"cgroup.subtree_control": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := cgroups.Open(cgroups.Options{MountInfo: filepath.Join(dir, "mountinfo")})
	var missing *cgroups.MissingControllerError
	if !errors.As(err, &missing) || missing.Controller != "memory" || !strings.Contains(err.Error(), dir+" does not offer it; ") {
		t.Error(err)
	}
}

// A crash right after mkdir leaves a root that nothing was offered to.
func TestOpenAfterHalfARoot(t *testing.T) {
	m, root := open(t)
	if !m.Unified() {
		return
	}
	if err := os.MkdirAll("/sys/fs/cgroup"+root+"/a/b", 0o755); err != nil {
		t.Fatal(err)
	}
	m, err := cgroups.Open(cgroups.Options{Root: root + "/a"})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Ensure(t.Context(), root+"/a/b", cgroupstest.Full()); err != nil {
		t.Fatal(err)
	}
}

func TestNoHierarchy(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "mountinfo")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cgroups.Open(cgroups.Options{MountInfo: empty}); err == nil || !strings.Contains(err.Error(), "mount -t cgroup2") {
		t.Error(err)
	}
	if _, err := cgroups.Open(cgroups.Options{MountInfo: empty + "x"}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := cgroups.Open(cgroups.Options{Root: "no/slash"}); err == nil {
		t.Error("a relative root was taken")
	}
}

func TestUnprivileged(t *testing.T) { cgroupstest.Unprivileged(t, cgroups.Open) }
