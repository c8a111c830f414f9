//go:build cgo

package supervisor

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// programTimeout ends a runtime program that does not come to an end.
const programTimeout = 2 * time.Minute

// program is how an OCI runtime program is called.
type program struct {
	args []string // its path and global arguments
	root string   // where it keeps its records
	hide bool     // it must not see that both cgroup versions are mounted
}

// run calls the program. files are the streams, which the processes that it
// makes inherit; stdin is for a call that makes none.
func (p program) run(files [3]*os.File, stdin io.Reader, args ...string) error {
	fd, err := unix.MemfdCreate("runtime-log", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make a file for the runtime's log: %w", err)
	}
	log := os.NewFile(uintptr(fd), "runtime-log")
	defer log.Close()
	ctx, stop := context.WithTimeout(context.Background(), programTimeout)
	defer stop()
	cmd := exec.CommandContext(ctx, p.args[0], slices.Concat(p.args[1:], []string{"--root", p.root,
		"--log", fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd), "--log-format", "json"}, args)...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Stdin = stdin
	if files[0] != nil {
		cmd.Stdin = files[0]
	}
	if files[1] != nil {
		cmd.Stdout, cmd.Stderr = files[1], files[2]
	}
	// Where we die, it must not go on making what our successor removes. What it
	// starts is to be ended as a group, and crun's are in crun's.
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL, Setsid: true}
	if err := p.inThread(cmd.Run); err != nil {
		return &runError{what: filepath.Base(p.args[0]) + " " + args[0], said: lastError(log), err: err}
	}
	return nil
}

// inThread calls f in a thread of its own: a child with Pdeathsig dies with the
// thread that made it, and sees the mounts that the thread sees.
func (p program) inThread(f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if !p.hide {
			defer runtime.UnlockOSThread()
			result <- f()
			return
		}
		if unix.Gettid() == unix.Getpid() { // the main thread does not end
			defer runtime.UnlockOSThread()
			result <- p.inThread(f)
			return
		}
		if err := effectHide.Do(hideUnified); err != nil {
			result <- err
			return // and the thread ends
		}
		result <- f()
	}()
	return <-result
}
