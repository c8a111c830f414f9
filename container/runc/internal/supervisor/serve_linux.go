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
func (s *Supervisor) listen() (*net.UnixListener, error) {
	path := s.cfg.Socket()
	var l *net.UnixListener
	err := effectSocket.Do(func() (err error) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return l, os.Chmod(path, 0o700)
}

// accept serves agents until the listener is closed.
func (s *Supervisor) accept(l *net.UnixListener) {
	slots := make(chan struct{}, maxConns)
	for {
		c, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, say
			time.Sleep(100 * time.Millisecond)
			continue
		}
		w := wire.NewConn(c)
		if uid, err := w.PeerUID(); err != nil || uid != uint32(os.Geteuid()) {
			w.Close()
			continue
		}
		select {
		case slots <- struct{}{}:
			s.wg.Go(func() {
				defer func() { <-slots }()
				s.serve(w)
			})
		default:
			_ = w.Send(&wire.Message{Op: wire.OpHello, Body: wire.Body(wire.Hello{Version: wire.Version}),
				Err: &wire.Error{Message: fmt.Sprintf("%d agents are connected already, the limit", maxConns)}})
			w.Close()
		}
	}
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
	if len(s.ctrs) > 0 || len(s.conns) > 0 || s.ended {
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
