package supervised

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
)

// await asks until it is so.
func await(t testing.TB, so func() bool, format string, args ...any) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf(format, args...)
		}
	}
}

// AwaitStop waits until a container has stopped.
func AwaitStop(t testing.TB, r container.Runtime, id string) (st container.State) {
	t.Helper()
	await(t, func() bool {
		var err error
		if st, err = r.State(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		return st.Status == container.Stopped
	}, "container %s does not stop", id)
	return st
}

// AwaitLog waits until a container's log has a text.
func AwaitLog(t testing.TB, spec container.Spec, text string) {
	t.Helper()
	await(t, func() bool {
		b, _ := os.ReadFile(spec.Log)
		return bytes.Contains(b, []byte(text))
	}, "the log of %s does not say %q", spec.ID, text)
}

// Supervisor is the pid of the root's supervisor, waiting for it.
func Supervisor(t testing.TB, root string) (pid int) {
	t.Helper()
	await(t, func() bool {
		b, err := os.ReadFile(filepath.Join(Run(root), "supervisor.alive"))
		if err != nil {
			return false
		}
		if pid, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
			return false
		}
		cmd, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return err == nil && bytes.Contains(cmd, []byte(Run(root)))
	}, "no supervisor lives")
	return pid
}

// KillSupervisor kills the root's supervisor and waits until it is gone.
func KillSupervisor(t testing.TB, root string) {
	t.Helper()
	fd, err := unix.PidfdOpen(Supervisor(t, root), 0)
	if err != nil {
		return // it has just ended
	}
	defer unix.Close(fd)
	_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10000)
}
