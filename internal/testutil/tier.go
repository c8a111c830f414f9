package testutil

import (
	"os"
	"os/exec"
	"testing"
)

// skip skips t, or fails it where demand names a variable that is set to 1.
func skip(t testing.TB, demand, format string, args ...any) {
	t.Helper()
	if os.Getenv(demand) == "1" {
		t.Fatalf(demand+"=1, but "+format, args...)
	}
	t.Skipf(format, args...)
}

// RequireRoot is for tests with effects on the kernel. They run as uid 0.
func RequireRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		skip(t, "LIFEPOD_ROOT_TESTS", "it needs root")
	}
}

// RequireCgroup2 is for tests that only a unified cgroup hierarchy can show.
// They run in the VM, where LIFEPOD_VM_TESTS=1 demands them.
func RequireCgroup2(t testing.TB) {
	t.Helper()
	RequireRoot(t)
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err != nil {
		skip(t, "LIFEPOD_VM_TESTS", "it needs a unified cgroup v2 hierarchy: make test-vm")
	}
}

// RequirePeer is for tests against another program; it returns the path of the
// first of names that is on PATH.
func RequirePeer(t testing.TB, names ...string) string {
	t.Helper()
	for _, n := range names {
		if p, err := exec.LookPath(n); err == nil {
			return p
		}
	}
	skip(t, "LIFEPOD_PEER_TESTS", "it needs one of %v on PATH", names)
	return ""
}
