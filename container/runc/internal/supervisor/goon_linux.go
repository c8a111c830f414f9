//go:build cgo

package supervisor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/internal/crilog"
	"github.com/lifepod/lifepod/container/runc/internal/wire"
	"github.com/lifepod/lifepod/internal/sys"
)

var effectGoOn = sys.NewEffect("container/upgrade-goon")

// goOn takes up what the program before this one kept. Nothing is read, carried
// or begun before thaw.
func (s *Supervisor) goOn(k *kept) error {
	s.upgrading = true
	s.rest.ask()
	s.ownChildren(k)
	if err := s.goOnListening(k.Listener); err != nil {
		return err
	}
	var conns []*conn
	for _, kc := range k.Conns {
		w, err := s.goOnWith(kc.Fd)
		if err != nil {
			return err
		}
		conns = append(conns, s.join(w))
	}
	for _, kc := range k.Ctrs {
		if err := s.goOnCtr(kc); err != nil {
			return fmt.Errorf("go on with container %s: %w", kc.ID, err)
		}
	}
	for i, kc := range k.Conns {
		conns[i].goOn(kc)
	}
	for _, kc := range k.Ctrs {
		if err := s.watchAgain(kc); err != nil {
			return fmt.Errorf("go on with container %s: %w", kc.ID, err)
		}
	}
	for _, fd := range k.Greeting {
		w, err := s.goOnWith(fd)
		if err != nil {
			return err
		}
		s.serve(w, func() { s.receive(w) })
	}
	return nil
}

// ownChildren keeps the reaper from those that others wait for.
func (s *Supervisor) ownChildren(k *kept) {
	for _, c := range k.Ctrs {
		if c.child() {
			s.reap.own(c.State.Pid)
		}
	}
	for _, c := range k.Conns {
		for _, call := range c.Calls {
			if call.Exec != nil {
				s.reap.own(call.Exec.Pid)
			}
		}
	}
}

// child tells that the container's process is to be waited for.
func (k keptCtr) child() bool {
	return k.Child && k.State.Status != container.Stopped && k.State.Pid > 0
}

func (s *Supervisor) goOnListening(fd int) error {
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return fmt.Errorf("go on listening: %w", err)
	}
	unixListener, ok := l.(*net.UnixListener)
	if !ok {
		l.Close()
		return errors.New("go on listening: the descriptor is no unix socket")
	}
	unixListener.SetUnlinkOnClose(true)
	s.listener = unixListener
	return nil
}

// keptWire is the connection behind fd.
func keptWire(fd int) (*wire.Conn, error) {
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("go on with a connection: %w", err)
	}
	unixConn, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("go on with a connection: it is no unix socket")
	}
	return wire.NewConn(unixConn), nil
}

func (s *Supervisor) goOnWith(fd int) (*wire.Conn, error) {
	w, err := keptWire(fd)
	if err == nil && !s.meet(w) {
		w.Close()
		err = fmt.Errorf("go on with a connection: they are more than %d", maxConns)
	}
	return w, err
}

func (s *Supervisor) goOnCtr(k keptCtr) error {
	dir := filepath.Join(s.cfg.Containers(), k.ID)
	st, err := load(dir)
	if err != nil {
		return err
	}
	c := s.newCtr(st.spec)
	c.rec, c.st, c.attempted, c.pidfd = st.rec, k.State, k.Attempted, k.Pidfd
	c.log = crilog.Take(k.Log)
	c.io.take(k.keptStreams, c.log)
	c.io.rest()
	if k.child() {
		c.init = pidChild(k.State.Pid)
	}
	if k.State.Status == container.Stopped {
		close(c.exited)
		close(c.told)
	}
	if err := c.newBox(st.rec.Runtime, st.spec.OCI, true); err != nil {
		return err
	}
	s.reserve(c)
	return nil
}

// watchAgain watches what was watched.
func (s *Supervisor) watchAgain(k keptCtr) error {
	c, err := s.get(k.ID)
	if err != nil || c.hasExited() {
		return err
	}
	if k.Watched {
		if err := c.watchOutput(); err != nil {
			return err
		}
	}
	if k.Pending {
		c.settleSoon()
	}
	if c.pidfd < 0 {
		return nil
	}
	return c.watchProcess()
}

// goOn goes on with an agent and its calls. One that speaks another version of
// the protocol has to connect again.
func (c *conn) goOn(k keptConn) {
	for _, kc := range k.Calls {
		c.goOnCall(kc)
	}
	if k.Lost {
		c.missed()
	}
	c.s.serve(c.wire, func() {
		if k.Version != wire.Version {
			c.wire.Close()
		}
		c.serve()
	})
}

func (c *conn) goOnCall(k keptCall) {
	op := wire.OpAttach
	if k.Exec != nil {
		op = wire.OpExec
	}
	call := c.call(k.ID, op)
	c.mu.Lock()
	c.active[k.ID] = call
	c.mu.Unlock()
	if k.Cancelled {
		call.cancel()
	}
	ctr, err := c.s.get(k.Container)
	switch {
	case err != nil:
		c.run(call, func() (any, error) { return nil, err })
	case k.Exec != nil:
		c.run(call, func() (any, error) {
			code, err := ctr.endOfExec(call, pidChild(k.Exec.Pid), k.Exec.Pidfd)
			return wire.Exit{Code: code}, err
		})
	case k.Attach != nil:
		files := make([]*os.File, len(k.Files))
		for i, fd := range k.Files {
			if fd >= 0 {
				files[i] = os.NewFile(uintptr(fd), "attached")
			}
		}
		stop, err := ctr.tap(*k.Attach, files)
		c.run(call, func() (any, error) {
			if err != nil {
				return nil, err
			}
			return nil, ctr.attached(call, *k.Attach, files, stop)
		})
	}
}

// tellAsker tells who asked for the upgrade that it is done, or why the process
// ends, and takes leave of him.
func tellAsker(fd int, err error) {
	w, werr := keptWire(fd)
	if werr != nil {
		return
	}
	defer w.Close()
	m := &wire.Message{Op: wire.OpDone}
	if err != nil {
		m = &wire.Message{Op: wire.OpLog, Body: wire.Body(wire.Log{Error: err.Error()})}
	}
	_ = w.Send(m)
}
