package apart

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/netns"
)

// marker is set in the environment of a program that was started by Command.
const marker = "LIFEPOD_APART"

// Inside says whether this process was started by Command.
func Inside() bool { return os.Getenv(marker) == "1" }

// Command is this program with other arguments in new namespaces. It and
// everything that it started is killed when ctx or this process ends. It must
// call Enter before all else.
func Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), marker+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWPID,
		// This flag makes Go cut the propagation of mounts, too.
		Unshareflags: unix.CLONE_NEWNS,
		Pdeathsig:    syscall.SIGKILL,
	}
	return cmd
}

// Enter finishes the namespaces: /proc shows the new processes, the loopback
// interface is up, /run is empty and the caller's own, and what is written to one
// of the directories covered is seen by the caller alone.
func Enter(covered ...string) error {
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount the /proc of the new process namespace: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mount a /run: %w", err)
	}
	for i, dir := range covered {
		if err := cover(dir, fmt.Sprintf("/run/apart/%d", i)); err != nil {
			return fmt.Errorf("cover %s: %w", dir, err)
		}
	}
	return netns.LoopbackUp("/proc/self/ns/net")
}

// cover mounts an overlay over dir whose changes lie in changes.
func cover(dir, changes string) error {
	upper, work := changes+"/upper", changes+"/work"
	for _, d := range []string{upper, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	return unix.Mount("overlay", dir, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, work))
}
