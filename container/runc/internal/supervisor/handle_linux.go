//go:build cgo

package supervisor

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container/runc/internal/wire"
)

func decode(m *wire.Message, v any) error {
	if err := json.Unmarshal(m.Body, v); err != nil {
		return fmt.Errorf("decode body of %s: %w", m.Op, err)
	}
	return nil
}

// handle does what m asks for. It owns m's files.
func (s *Supervisor) handle(k *call, m *wire.Message) (any, error) {
	switch m.Op {
	case wire.OpExec:
		var e wire.Exec
		if err := decode(m, &e); err != nil {
			closeFiles(m.Files)
			return nil, err
		}
		code, err := s.exec(k, e, m.Files)
		closeFiles(m.Files) // again, where exec did not come to it
		return wire.Exit{Code: code}, err
	case wire.OpAttach:
		var a wire.Attach
		if err := decode(m, &a); err != nil {
			closeFiles(m.Files)
			return nil, err
		}
		return nil, s.attach(k, a, m.Files)
	case wire.OpAdopt:
		defer closeFiles(m.Files)
		var a wire.Adopt
		if err := decode(m, &a); err != nil {
			return nil, err
		}
		return s.adopt(a, m.Files)
	}
	closeFiles(m.Files)
	return s.handlePlain(m)
}

// handlePlain does what needs neither descriptors nor the call itself.
func (s *Supervisor) handlePlain(m *wire.Message) (any, error) {
	switch m.Op {
	case wire.OpList:
		return s.list(), nil
	case wire.OpPrepare:
		s.prepare()
		return nil, nil
	case wire.OpUpdate:
		var u wire.Update
		if err := decode(m, &u); err != nil {
			return nil, err
		}
		return nil, s.update(u.ID, u.Resources)
	case wire.OpSignal:
		var g wire.Signal
		if err := decode(m, &g); err != nil {
			return nil, err
		}
		return nil, s.signal(g.ID, g.Signal)
	}
	var t wire.Target
	if err := decode(m, &t); err != nil {
		return nil, err
	}
	switch m.Op {
	case wire.OpStart:
		return nil, s.start(t.ID)
	case wire.OpDelete:
		return nil, s.delete(t.ID)
	case wire.OpState:
		return s.state(t.ID)
	case wire.OpReopen:
		return nil, s.reopen(t.ID)
	case wire.OpCloseStdin:
		return nil, s.closeStdin(t.ID)
	}
	return nil, fmt.Errorf("the supervisor knows no %q", m.Op)
}

// adopt learns from a pidfd that an agent kept how a container ended while no
// supervisor ran, and tells how it stands.
func (s *Supervisor) adopt(a wire.Adopt, files []*os.File) (any, error) {
	c, err := s.get(a.ID)
	if err != nil {
		return nil, err
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("adopt %s: it came with %d descriptors instead of 1", a.ID, len(files))
	}
	raw, err := files[0].SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	_ = raw.Control(func(n uintptr) {
		fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 3)
	})
	if err != nil || fd < 0 {
		return nil, fmt.Errorf("copy the pidfd: %w", err)
	}
	defer unix.Close(fd)
	c.settle(&fd, a.Pid)
	return c.settledState(), nil
}
