//go:build cgo

package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/internal/sys"
)

var effectHide = sys.NewEffect("container/hide-unified")

// programTimeout ends a runtime program that does not come to an end.
const programTimeout = 2 * time.Minute

// program is how an OCI runtime program is called.
type program struct {
	args []string // its path and global arguments
	root string   // where it keeps its records
	hide bool     // it must not see that both cgroup versions are mounted
}

// runError is what a runtime program said when it failed.
type runError struct {
	what string
	said string
	err  error
}

func (e *runError) Error() string {
	if e.said == "" {
		return e.what + ": " + e.err.Error()
	}
	return e.what + ": " + e.said
}

func (e *runError) Unwrap() error { return e.err }

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

// hideUnified has this thread see no unified cgroups beside v1's.
func hideUnified() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("set up a mount namespace: %w", err)
	}
	if err := unix.Unmount(unifiedHybrid, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s in it: %w", unifiedHybrid, err)
	}
	return nil
}

// hidesUnified tells whether the runtime program refuses a machine that has
// cgroups of both versions mounted, as crun does, and this is one.
func (s *Supervisor) hidesUnified(path string) bool {
	if !hybrid() {
		return false
	}
	known, ok := s.hides.Load(path)
	if !ok {
		var out []byte
		_ = s.reap.during(func() (err error) { out, err = exec.Command(path, "--version").Output(); return err })
		known = strings.HasPrefix(string(out), "crun ")
		s.hides.Store(path, known)
	}
	return known.(bool)
}

// lastError gives the last error of a log in JSON lines.
func lastError(log io.ReaderAt) (text string) {
	b, _ := io.ReadAll(io.NewSectionReader(log, 0, 1<<20))
	for line := range strings.Lines(string(b)) {
		var l struct{ Level, Msg string }
		if json.Unmarshal([]byte(line), &l) == nil && (l.Level == "error" || l.Level == "fatal") {
			text = l.Msg
		}
	}
	return text
}

// reasons are the kernel's words for a program that it cannot execute.
var reasons = []string{"no such file or directory", "permission denied", "exec format error", "is a directory", "not a directory"}

// aboutProgram tells whether the runtime failed because the container's program
// cannot be executed, in runc's words whichever the runtime is.
func aboutProgram(err error, name string) (text string, ok bool) {
	var failed *runError
	if !errors.As(err, &failed) {
		return "", false
	}
	what := "exec: " + strconv.Quote(name) + ": "
	if _, rest, ok := strings.Cut(failed.said, what); ok { // runc
		first, _, _ := strings.Cut(rest, "\n")
		return what + first, true
	}
	said := strings.ToLower(failed.said)
	if !strings.Contains(said, "executable") && !strings.HasPrefix(said, "exec ") {
		return "", false
	}
	for _, r := range reasons { // crun
		switch {
		case !strings.Contains(said, r):
		case !strings.Contains(name, "/") && strings.Contains(said, "not found"):
			return what + "executable file not found in $PATH", true
		default:
			return what + r, true
		}
	}
	return "", false
}

// failedAs tells whether err is a runtime's that says text.
func failedAs(err error, text string) bool {
	var failed *runError
	return errors.As(err, &failed) && strings.Contains(failed.said, text)
}

// consoleSocket is where a runtime program sends a terminal's master.
type consoleSocket struct {
	path string
	dir  int
	l    *net.UnixListener
}

// listenConsole makes the socket in dir, whose path may be too long for one.
func listenConsole(dir string) (*consoleSocket, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	path := fmt.Sprintf("/proc/%d/fd/%d/tty", os.Getpid(), fd)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make console socket: %w", err)
	}
	return &consoleSocket{path: path, dir: fd, l: l}, nil
}

func (c *consoleSocket) close() {
	c.l.Close()
	unix.Close(c.dir)
}

// receive takes the master that the runtime sent.
func (c *consoleSocket) receive() (int, error) {
	deadline := time.Now().Add(10 * time.Second)
	if err := c.l.SetDeadline(deadline); err != nil {
		return -1, err
	}
	conn, err := c.l.AcceptUnix()
	if err != nil {
		return -1, fmt.Errorf("receive terminal: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return -1, err
	}
	buf, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(buf, oob)
	if err != nil {
		return -1, fmt.Errorf("receive terminal: %w", err)
	}
	return oneRight(oob[:n])
}
