//go:build cgo

package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container/internal/crilog"
	"github.com/lifepod/lifepod/container/runc/internal/boot"
	"github.com/lifepod/lifepod/container/runc/internal/wire"
	"github.com/lifepod/lifepod/internal/sys"
)

var (
	effectProbe  = sys.NewEffect("container/upgrade-probe")
	effectState  = sys.NewEffect("container/upgrade-state")
	effectBecome = sys.NewEffect("container/upgrade-exec")
)

const (
	// probeTimeout is how long a program may take to say that it is one.
	probeTimeout = 5 * time.Second
	// restTimeout is how long calls under way may take to end. Agents wait, but
	// not longer than for a frame.
	restTimeout = wire.FrameTimeout / 2
)

// upgrade has this process go on as the program that came with m, which keeps
// everything; see kept. w is who asks. It returns only if that cannot be, and
// all goes on as before.
func (s *Supervisor) upgrade(w *wire.Conn, m *wire.Message) error {
	defer closeFiles(m.Files)
	var u wire.Upgrade
	err := decode(m, &u)
	if err == nil && len(m.Files) != 1 {
		err = fmt.Errorf("it came with %d descriptors instead of 1", len(m.Files))
	}
	if err == nil {
		err = s.upgradeTo(w, m.Files[0])
	}
	if err != nil {
		return fmt.Errorf("upgrade the supervisor to %s: %w", u.Program, err)
	}
	return nil
}

func (s *Supervisor) upgradeTo(w *wire.Conn, program *os.File) error {
	if err := s.probe(program); err != nil {
		return err
	}
	if err := s.upgradeBegins(); err != nil {
		return err
	}
	defer s.upgradeEnds()
	defer s.rest.begin() // the count of this connection's reader
	defer s.thaw()
	if err := s.freeze(); err != nil {
		return err
	}
	return s.replace(w, program)
}

// probe runs program to learn whether it can take our place: from the exec there
// is no way back.
func (s *Supervisor) probe(program *os.File) error {
	in, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer in.Close()
	ctx, stop := context.WithTimeout(context.Background(), probeTimeout)
	defer stop()
	cmd := exec.CommandContext(ctx, "/proc/self/fd/4")
	cmd.Args, cmd.Dir = []string{os.Args[0], "probe"}, "/"
	cmd.Env = []string{boot.ProbeEnv + "=" + strconv.Itoa(stateVersion)}
	cmd.ExtraFiles = []*os.File{out, program}
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true} // it ends with all that it started
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	err = effectProbe.Do(func() error { return s.reap.during(cmd.Run) })
	out.Close()
	word := make([]byte, 4<<10)
	n, _ := unix.Read(rawFd(in), word) // without waiting: what it started may hold the other end
	word = word[:max(n, 0)]
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("asked whether it can go on from here, it did not answer within %v", probeTimeout)
	case string(word) == boot.Ready && err == nil:
		return nil
	case len(word) > 0 && err == nil:
		return errors.New(string(word))
	}
	return errors.Join(errors.New("it is not a supervisor's program of lifepod, or of one without upgrades"), err)
}

// upgradeBegins keeps the process from ending, and others from upgrading it.
func (s *Supervisor) upgradeBegins() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.upgrading:
		return errors.New("another upgrade is under way")
	case s.ended:
		return errors.New("the supervisor is ending")
	}
	s.upgrading = true
	s.considerIdle()
	return nil
}

func (s *Supervisor) upgradeEnds() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.upgrading = false
	s.considerIdle()
}

// freeze waits until nothing is under way, and lets nothing begin. The caller,
// who is a connection's reader, counts no more.
func (s *Supervisor) freeze() error {
	still := s.rest.ask()
	_ = s.listener.SetDeadline(time.Unix(1, 0))
	s.eachWire((*wire.Conn).Stop)
	s.rest.end()
	select {
	case <-still:
	case <-time.After(restTimeout):
		return fmt.Errorf("calls are still under way (%s): try again", strings.Join(s.underWay(), ", "))
	}
	all := s.all()
	for _, c := range all {
		c.io.rest()
	}
	for _, c := range all {
		c.io.rested()
	}
	return nil
}

// thaw lets everything go on.
func (s *Supervisor) thaw() {
	for _, c := range s.all() {
		c.io.resume()
	}
	_ = s.listener.SetDeadline(time.Time{})
	s.eachWire((*wire.Conn).Resume)
	s.rest.resume()
}

func (s *Supervisor) eachWire(f func(*wire.Conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.wires {
		f(w)
	}
}

// underWay are the operations that an upgrade waits for.
func (s *Supervisor) underWay() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ops := map[string]bool{}
	for c := range s.conns {
		c.mu.Lock()
		for _, k := range c.active {
			if k.waits == nil {
				ops[k.op] = true
			}
		}
		c.mu.Unlock()
	}
	return slices.Sorted(maps.Keys(ops))
}

// replace executes program in this process, which is still.
func (s *Supervisor) replace(asker *wire.Conn, program *os.File) error {
	place, err := s.holdPlace()
	if err != nil {
		return err
	}
	defer place.Close()
	k, err := s.keep(asker, place)
	if err != nil {
		return err
	}
	body, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	var state *os.File
	if err := effectState.Do(func() (err error) { state, err = sys.Memfd("lifepod-state", body); return err }); err != nil {
		return err
	}
	defer state.Close()
	fds := append(k.descriptors(), rawFd(state), rawFd(program)) // the last in case it is a script
	defer setCloseOnExec(fds, unix.FD_CLOEXEC)
	setCloseOnExec(fds, 0)
	return effectBecome.Do(func() error {
		return become(program, append(ownEnviron(),
			boot.ConfigEnv+"="+s.cfg.String(), boot.StateEnv+"="+strconv.Itoa(rawFd(state))))
	})
}

// ownEnviron is the environment without what is meant for inits alone.
func ownEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, initThreads+"=") })
}

// holdPlace keeps the run directory, until the next program does.
func (s *Supervisor) holdPlace() (*os.File, error) {
	f, err := os.Open(s.cfg.Run)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(rawFd(f), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", s.cfg.Run, err)
	}
	return f, nil
}

func setCloseOnExec(fds []int, flag int) {
	for _, fd := range fds {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, flag)
	}
}

// keep tells all that is not on disk. Nothing is under way.
func (s *Supervisor) keep(asker *wire.Conn, place *os.File) (*kept, error) {
	k := &kept{Version: stateVersion, Place: rawFd(place), Alive: rawFd(s.alive), Listener: -1, Asker: asker.Fd()}
	if raw, err := s.listener.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { k.Listener = int(fd) })
	}
	for _, c := range s.all() {
		kc, err := c.keep()
		if err != nil {
			return nil, err
		}
		k.Ctrs = append(k.Ctrs, kc)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	greeted := map[*wire.Conn]bool{asker: true}
	for c := range s.conns {
		greeted[c.wire] = true
		k.Conns = append(k.Conns, c.keep())
	}
	for w := range s.wires {
		if !greeted[w] {
			k.Greeting = append(k.Greeting, w.Fd())
		}
	}
	return k, nil
}

func (c *ctr) keep() (keptCtr, error) {
	k := keptCtr{ID: c.id, State: c.state(), Child: c.init != nil, Log: crilog.Kept{Fd: -1}, keptStreams: c.io.keep()}
	c.mu.Lock()
	defer c.mu.Unlock()
	k.Attempted, k.Pending, k.Pidfd = c.attempted, c.pending, c.pidfd
	if c.log == nil {
		return k, nil
	}
	var err error
	k.Log, err = c.log.Keep()
	return k, err
}

// keep tells of an agent and of its calls, all of which wait.
func (c *conn) keep() keptConn {
	k := keptConn{Fd: c.wire.Fd(), Version: wire.Version, Lost: c.lost.Load()}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, call := range c.active {
		w := *call.waits
		w.ID = id
		select {
		case <-call.cancelled:
			w.Cancelled = true
		default:
		}
		for _, f := range w.files {
			fd := -1
			if f != nil {
				fd = rawFd(f)
			}
			w.Files = append(w.Files, fd)
		}
		k.Calls = append(k.Calls, w)
	}
	return k
}
