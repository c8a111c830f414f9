//go:build cgo

package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container/runc/internal/wire"
	"github.com/lifepod/lifepod/internal/sys"
)

// maxConns bounds the agents of one root.
const maxConns = 64

var effectSocket = sys.NewEffect("container/socket")

// listen makes the socket. Nobody else listens there: the caller holds the lock
// that says that a supervisor lives.
func (s *Supervisor) listen() error {
	path := s.cfg.Socket()
	err := effectSocket.Do(func() (err error) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	if err != nil {
		return fmt.Errorf("listen on %s: %w", path, err)
	}
	return os.Chmod(path, 0o700)
}

// accept serves agents until the listener is closed.
func (s *Supervisor) accept() {
	s.rest.add()
	defer s.rest.end()
	for {
		c, err := s.listener.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded): // the listener was stopped
			s.rest.park()
			continue
		case err != nil: // out of descriptors, say
			time.Sleep(100 * time.Millisecond)
			continue
		}
		s.welcome(wire.NewConn(c))
	}
}

// welcome serves an agent if it may be served.
func (s *Supervisor) welcome(w *wire.Conn) {
	if uid, err := w.PeerUID(); err != nil || uid != uint32(os.Geteuid()) {
		w.Close()
		return
	}
	if !s.meet(w) {
		_ = w.Send(&wire.Message{Op: wire.OpHello, Body: wire.Body(wire.Hello{Version: wire.Version}),
			Err: &wire.Error{Message: fmt.Sprintf("%d agents are connected already, the limit", maxConns)}})
		w.Close()
		return
	}
	s.serve(w, func() { s.receive(w) })
}

// receive speaks with whoever has connected until he is gone.
func (s *Supervisor) receive(w *wire.Conn) {
	if c := s.greet(w); c != nil {
		c.holdAll()
		c.serve()
	}
}

// meet puts a connection into the table, if there is room.
func (s *Supervisor) meet(w *wire.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.wires) >= maxConns {
		return false
	}
	s.wires[w] = true
	if s.upgrading {
		w.Stop()
	}
	return true
}

// serve does f with a connection that was met, in the background.
func (s *Supervisor) serve(w *wire.Conn, f func()) {
	s.rest.add()
	s.wg.Go(func() {
		defer s.rest.end()
		f()
		s.mu.Lock()
		delete(s.wires, w)
		s.mu.Unlock()
		w.Close()
	})
}

// next is the connection's next message. Between two it lies still while an
// upgrade wants that.
func (s *Supervisor) next(w *wire.Conn) (*wire.Message, error) {
	for {
		m, err := w.Receive()
		if !errors.Is(err, wire.ErrStopped) {
			return m, err
		}
		s.rest.park()
	}
}

// greet exchanges versions. Who does not want to be an agent, or cannot, gets
// his answer.
func (s *Supervisor) greet(w *wire.Conn) *conn {
	m, err := s.next(w)
	if err != nil {
		return nil
	}
	if m.Op == wire.OpUpgrade {
		err := s.upgrade(w, m)
		_ = w.Send(&wire.Message{Op: wire.OpDone, Err: wire.NewError(err)})
		return nil
	}
	closeFiles(m.Files)
	var hello wire.Hello
	if m.Op != wire.OpHello || decode(m, &hello) != nil {
		return nil
	}
	answer := &wire.Message{Op: wire.OpHello, Body: wire.Body(wire.Hello{Version: wire.Version, Pid: os.Getpid()})}
	if hello.Version != wire.Version {
		answer.Err = &wire.Error{Message: fmt.Sprintf("the supervisor speaks version %d of its protocol, the agent version %d", wire.Version, hello.Version)}
	}
	if w.Send(answer) != nil || answer.Err != nil {
		return nil
	}
	return s.join(w)
}

// tryEnd ends the process if nobody needs it and nobody is about to.
func (s *Supervisor) tryEnd() {
	lock, err := tryLock(s.cfg.Lock())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // without its directory nobody can find us
		s.considerIdle()
		return
	}
	if s.needed() || s.ended {
		if lock != nil {
			lock.Close()
		}
		return
	}
	s.ended, s.endLock = true, lock // the process ends with the lock held
	close(s.quit)
}

// tryLock locks the file at path, or fails at once.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	raw, err := f.SyscallConn()
	if err == nil {
		cerr := raw.Control(func(fd uintptr) { err = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) })
		err = errors.Join(err, cerr)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}
