//go:build cgo

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

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
	k, master, err := c.startExec(spec, files)
	closeFiles(files)
	var program *programError
	if errors.As(err, &program) {
		return startErrorCode, &container.StartError{ID: e.ID, Err: program}
	}
	if err != nil {
		return 0, fmt.Errorf("exec in container %s: %w", e.ID, err)
	}
	return c.awaitExec(call, k, master)
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

func (c *ctr) startExec(p *specs.Process, files []*os.File) (k child, master *os.File, err error) {
	var streams [3]*os.File
	if !p.Terminal && copy(streams[:], files) != len(streams) {
		return nil, nil, fmt.Errorf("it came with %d descriptors instead of 3", len(files))
	}
	k, fd, err := c.startProcess(p, false, streams)
	if fd >= 0 {
		master = os.NewFile(uintptr(fd), "terminal")
	}
	return k, master, err
}

// abandon kills an exec that cannot be handed over.
func (c *ctr) abandon(k child) {
	k.kill()
	k.wait()
	c.s.reap.release(k.pid())
}

// awaitExec hands over a running exec and waits for its end.
func (c *ctr) awaitExec(call *call, k child, master *os.File) (int, error) {
	defer closeFiles([]*os.File{master})
	fd, err := c.noteExec(k.pid())
	if err != nil {
		c.abandon(k)
		return 0, err
	}
	if err := call.progress(struct{}{}, master); err != nil {
		call.cancel()
	}
	closeFiles([]*os.File{master})
	return c.endOfExec(call, k, fd)
}

// endOfExec waits for the end of an exec, of which fd is the pidfd.
func (c *ctr) endOfExec(call *call, k child, fd int) (int, error) {
	defer os.Remove(c.execNote(k.pid()))
	defer unix.Close(fd)
	ended := make(chan struct{})
	stop, err := c.s.poll.once(fd, func() { close(ended) })
	if err != nil {
		c.abandon(k)
		return 0, err
	}
	defer stop()
	call.wait(&keptCall{Container: c.id, Exec: &keptExec{Pid: k.pid(), Pidfd: fd}}, func() {
		select {
		case <-ended:
		case <-call.cancelled:
		}
	})
	select {
	case <-ended:
	default:
		endGroup(k.pid(), call.gone(), ended)
		<-ended
	}
	st, statErr := pidfd.ReadStat(k.pid())
	status, err := pidfd.Peek(fd)
	k.wait()
	c.s.reap.release(k.pid())
	if err != nil {
		return 0, fmt.Errorf("learn how the exec ended: %w", err)
	}
	if statErr == nil && st.Name == c.record().Waiting && !status.Signaled() {
		return startErrorCode, &container.StartError{ID: c.id, Err: errors.New("the program could not be executed")}
	}
	return pidfd.Code(status), nil
}

func (c *ctr) execNote(pid int) string { return filepath.Join(c.dir, execDir, strconv.Itoa(pid)) }

// noteExec notes the exec on disk, so that the next supervisor can end it, and
// returns its pidfd.
func (c *ctr) noteExec(pid int) (int, error) {
	st, err := pidfd.ReadStat(pid)
	if err != nil {
		return -1, err
	}
	fd, err := pidfd.Open(pid, st.StartTime)
	if err != nil {
		return -1, err
	}
	note := c.execNote(pid)
	_ = os.Mkdir(filepath.Dir(note), 0o700)
	if err := os.WriteFile(note, []byte(strconv.FormatUint(st.StartTime, 10)), 0o600); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// endGroup ends pid and its group: at once when its caller wants that, gently
// when the caller has died.
func endGroup(pid int, gently bool, ended <-chan struct{}) {
	group := groupOf(pid)
	if gently {
		_ = unix.Kill(-group, unix.SIGHUP)
		select {
		case <-ended:
			return
		case <-time.After(execTerm):
		}
	}
	_ = unix.Kill(-group, unix.SIGKILL)
	_ = unix.Kill(pid, unix.SIGKILL)
}

// groupOf is the process group of an exec, which it leads itself with runc, and
// which is never ours.
func groupOf(pid int) int {
	if g, err := unix.Getpgid(pid); err == nil && g > 1 && g != unix.Getpgrp() {
		return g
	}
	return pid
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
				endGroup(pid, false, nil)
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
			endGroup(pid, false, nil)
		}
	}
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
