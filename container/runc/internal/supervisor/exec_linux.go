//go:build cgo

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/runc/libcontainer"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc/internal/pidfd"
	"github.com/lifepod/lifepod/container/runc/internal/wire"
	"github.com/lifepod/lifepod/internal/sys"
)

var effectExec = sys.NewEffect("container/exec")

// execTerm is how long a process has between SIGHUP and SIGKILL when its caller
// is gone.
const execTerm = time.Second

// exec runs a process in a container. started is told of it with the terminal's
// master, if it has one. It ends early when its call does.
func (s *Supervisor) exec(call *call, e wire.Exec, files []*os.File) (int, error) {
	c, err := s.get(e.ID)
	if err != nil {
		return 0, err
	}
	if st := c.state().Status; st != container.Running {
		return 0, fmt.Errorf("exec in container %s: it is %s: %w", e.ID, st, container.ErrState)
	}
	spec, err := c.execSpec(e)
	if err != nil {
		return 0, fmt.Errorf("exec in container %s: %w", e.ID, err)
	}
	p, err := s.toProcess(spec)
	if err != nil {
		return 0, fmt.Errorf("exec in container %s: %w", e.ID, err)
	}
	master, err := c.startExec(p, e.TTY, files)
	closeFiles(files)
	if text, ok := execProgramError(err, e.Args[0]); ok {
		return startErrorCode, &container.StartError{ID: e.ID, Err: errors.New(text)}
	}
	if err != nil {
		return 0, fmt.Errorf("exec in container %s: %w", e.ID, err)
	}
	return c.awaitExec(call, p, master)
}

// execSpec is the container's process with what e says in its stead.
func (c *ctr) execSpec(e wire.Exec) (*specs.Process, error) {
	if len(e.Args) == 0 || e.Args[0] == "" {
		return nil, errors.New("args must name a program")
	}
	p := *c.process
	p.Args, p.Terminal, p.ConsoleSize = e.Args, e.TTY, nil
	p.Env = slices.Concat(p.Env, e.Env)
	if e.Cwd != "" {
		if !filepath.IsAbs(e.Cwd) {
			return nil, fmt.Errorf("cwd %q must be an absolute path", e.Cwd)
		}
		p.Cwd = e.Cwd
	}
	if e.User != nil {
		p.User = *e.User
	}
	if e.Size != nil {
		p.ConsoleSize = &specs.Box{Width: uint(e.Size.Width), Height: uint(e.Size.Height)}
	}
	return &p, nil
}

func (c *ctr) startExec(p *libcontainer.Process, tty bool, files []*os.File) (master *os.File, err error) {
	var con *console
	switch {
	case tty:
		if con, err = newConsole(); err != nil {
			return nil, err
		}
		defer con.parent.Close()
		p.ConsoleSocket = con.child
	case len(files) != 3:
		return nil, fmt.Errorf("it came with %d descriptors instead of 3", len(files))
	default:
		p.Stdin, p.Stdout, p.Stderr = files[0], files[1], files[2]
	}
	_, err = c.s.reap.start(func() (int, error) {
		if err := effectExec.Do(func() error { return c.startProcess(p) }); err != nil {
			return 0, errors.Join(err, killProcess(p))
		}
		return p.Pid()
	})
	if err != nil {
		if con != nil {
			con.child.Close()
		}
		return nil, err
	}
	if con != nil {
		fd, err := con.receive()
		if err != nil {
			c.abandon(p)
			return nil, err
		}
		master = os.NewFile(uintptr(fd), "terminal")
	}
	return master, nil
}

// abandon kills an exec that cannot be handed over.
func (c *ctr) abandon(p *libcontainer.Process) {
	pid, _ := p.Pid()
	_ = killProcess(p)
	c.s.reap.release(pid)
}

// awaitExec hands over a running exec and waits for its end.
func (c *ctr) awaitExec(call *call, p *libcontainer.Process, master *os.File) (int, error) {
	pid, _ := p.Pid()
	note := filepath.Join(c.dir, execDir, strconv.Itoa(pid))
	defer os.Remove(note)
	ended := make(chan struct{})
	fd, err := c.watchExec(pid, note, func() { close(ended) })
	if err != nil {
		closeFiles([]*os.File{master})
		c.abandon(p)
		return 0, err
	}
	defer unix.Close(fd.fd)
	defer fd.stop()
	err = call.progress(struct{}{}, master)
	closeFiles([]*os.File{master})
	if err != nil {
		call.cancel()
	}
	select {
	case <-ended:
	case <-call.cancelled:
		endGroup(pid, call.gone(), ended)
		<-ended
	}
	st, statErr := pidfd.ReadStat(pid)
	status, err := pidfd.Peek(fd.fd)
	_, _ = p.Wait()
	c.s.reap.release(pid)
	if err != nil {
		return 0, fmt.Errorf("learn how the exec ended: %w", err)
	}
	if statErr == nil && st.Name == pidfd.UnstartedName && !status.Signaled() {
		return startErrorCode, &container.StartError{ID: c.id, Err: errors.New("the program could not be executed")}
	}
	return pidfd.Code(status), nil
}

type watched struct {
	fd   int
	stop func()
}

// watchExec notes the exec on disk, so that the next supervisor can end it, and
// has ended called when it ends.
func (c *ctr) watchExec(pid int, note string, ended func()) (watched, error) {
	st, err := pidfd.ReadStat(pid)
	if err != nil {
		return watched{}, err
	}
	fd, err := pidfd.Open(pid, st.StartTime)
	if err != nil {
		return watched{}, err
	}
	_ = os.Mkdir(filepath.Dir(note), 0o700)
	if err := os.WriteFile(note, []byte(strconv.FormatUint(st.StartTime, 10)), 0o600); err != nil {
		unix.Close(fd)
		return watched{}, err
	}
	stop, err := c.s.poll.once(fd, ended)
	if err != nil {
		unix.Close(fd)
		return watched{}, err
	}
	return watched{fd, stop}, nil
}

// endGroup ends the session that pid leads: at once when its caller wants that,
// gently when the caller has died.
func endGroup(pid int, gently bool, ended <-chan struct{}) {
	if gently {
		_ = unix.Kill(-pid, unix.SIGHUP)
		select {
		case <-ended:
			return
		case <-time.After(execTerm):
		}
	}
	_ = unix.Kill(-pid, unix.SIGKILL)
}

// killExecs ends what a dead supervisor's execs left running.
func (c *ctr) killExecs() {
	notes, _ := os.ReadDir(filepath.Join(c.dir, execDir))
	for _, n := range notes {
		path := filepath.Join(c.dir, execDir, n.Name())
		pid, err := strconv.Atoi(n.Name())
		b, rerr := os.ReadFile(path)
		start, perr := strconv.ParseUint(string(b), 10, 64)
		if errors.Join(err, rerr, perr) == nil {
			if fd, err := pidfd.Open(pid, start); err == nil {
				_ = unix.Kill(-pid, unix.SIGKILL)
				unix.Close(fd)
			}
		}
		_ = os.Remove(path)
	}
}

// killStrays ends execs that a dead supervisor had not noted yet. In a PID
// namespace of its own, whatever has a parent outside the container and is not
// its first process came from an exec.
func (c *ctr) killStrays() {
	if c.sharedPID {
		return
	}
	pids, err := c.cgroup.GetAllPids()
	if err != nil {
		return
	}
	for _, pid := range pids {
		st, err := pidfd.ReadStat(pid)
		if err == nil && pid != c.rec.Pid && !st.Dead() && !slices.Contains(pids, st.Parent) {
			_ = unix.Kill(-pid, unix.SIGKILL)
			_ = unix.Kill(pid, unix.SIGKILL) // where it leads no session yet
		}
	}
}

// execProgramError is programError for an exec.
func execProgramError(err error, program string) (string, bool) {
	if err == nil {
		return "", false
	}
	what := "exec: " + strconv.Quote(program) + ": "
	_, rest, ok := strings.Cut(err.Error(), what)
	first, _, _ := strings.Cut(rest, "\n")
	return what + first, ok
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
