package cgroupstest

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/internal/testutil"
)

// Root names a cgroup of this machine's that only one test uses; nothing of it may
// be left at the test's end.
func Root(t testing.TB) string {
	t.Helper()
	testutil.RequireRoot(t)
	name := "lifepod-t-" + strings.ToLower(rand.Text()[:10])
	testutil.CheckLeaks(t, testutil.Scope{Names: []string{name}})
	return "/" + name
}

// Open opens an implementation for a [Root], which it removes at the test's end.
func Open[M Manager](t testing.TB, open func(cgroups.Options) (M, error)) (M, string) {
	t.Helper()
	root := Root(t)
	m, err := open(cgroups.Options{Root: root})
	must(t, err)
	t.Cleanup(func() {
		if err := m.Remove(context.Background(), root); err != nil {
			t.Error(err)
		}
	})
	return m, root
}

// OnKernel gives [Run] an implementation with real processes.
func OnKernel[M Manager](open func(cgroups.Options) (M, error)) func(t *testing.T) Impl {
	return func(t *testing.T) Impl {
		m, root := Open(t, open)
		return Impl{Manager: m, Root: root, Join: func(t *testing.T, path string) func() bool {
			pid := Join(t, path).Process.Pid
			return func() bool { return Alive(pid) }
		}}
	}
}

// Unified reports whether the machine has cgroup v2 alone.
func Unified() bool {
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err == nil
}

// Dirs lists where a cgroup exists.
func Dirs(cgroup string) []string {
	var found []string
	for _, base := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		d, _ := filepath.Glob(base + cgroup)
		found = append(found, d...)
	}
	return found
}

// Join starts a process that moves into a cgroup, in every hierarchy, before it
// becomes what args say: without any, one that sleeps. The test's end kills it.
func Join(t testing.TB, cgroup string, args ...string) *exec.Cmd {
	t.Helper()
	if len(args) == 0 {
		args = []string{"sleep", "300"}
	}
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", `read go; exec "$@"`, "sh"}, args...)...)
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
	for _, d := range Dirs(cgroup) {
		if err := os.WriteFile(filepath.Join(d, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := in.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// Alive tells a process that runs from one that is gone or not waited for yet.
func Alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	after := string(b[strings.LastIndexByte(string(b), ')')+1:])
	return !strings.HasPrefix(after, " Z") && !strings.HasPrefix(after, " X")
}
