package cgroupstest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/internal/testutil"
)

// MountInfo writes this machine's /proc/self/mountinfo to a file, each line as edit
// returns it.
func MountInfo(t testing.TB, edit func(line string) string) (file string) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	var text strings.Builder
	for line := range strings.Lines(string(b)) {
		text.WriteString(edit(line))
	}
	file = filepath.Join(t.TempDir(), "mountinfo")
	must(t, os.WriteFile(file, []byte(text.String()), 0o600))
	return file
}

// nobodyEnv tells the program of a test that it is run by another user.
const nobodyEnv = "CGROUPS_TEST_NOBODY"

// Unprivileged is a test of an implementation's own: the same program as another
// user gets an error that says what to do.
func Unprivileged[M Manager](t *testing.T, open func(cgroups.Options) (M, error)) {
	if os.Getenv(nobodyEnv) != "" {
		_, err := open(cgroups.Options{Root: "/lifepod-t-nobody"})
		var access *cgroups.AccessError
		fmt.Fprintln(os.Stdout, "told:", errors.As(err, &access), err)
		return
	}
	testutil.RequireRoot(t)
	dir, err := os.MkdirTemp("", "cgroups-test")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	b, err := os.ReadFile(os.Args[0])
	must(t, err)
	exe := filepath.Join(dir, "test")
	must(t, errors.Join(os.Chmod(dir, 0o755), os.WriteFile(exe, b, 0o755))) //nolint:gosec // another user runs it
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = []string{nobodyEnv + "=1", "GORACE=atexit_sleep_ms=0"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "told: true cgroups in /sys/fs/cgroup") ||
		!strings.Contains(string(out), "cannot be made by uid 65534: run as root") {
		t.Errorf("%v: %s", err, out)
	}
}
