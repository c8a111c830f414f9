package runc

import (
	"context"
	"encoding/json"
	"maps"
	"os"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc/internal/wire"
)

// held are descriptors of a container that lives: with its FIFOs open, output is
// not lost when it ends while no supervisor runs; with its pidfd, neither is the
// exit code.
type held struct {
	pid   int
	files []*os.File // the pidfd first
}

func (h *held) close() { closeFiles(h.files) }

func (r *Runtime) keep(a wire.Adopt, files []*os.File) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.held[a.ID]; old != nil {
		old.close()
	}
	r.held[a.ID] = &held{a.Pid, files}
}

func (r *Runtime) letGo(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.held[id]; h != nil {
		h.close()
		delete(r.held, id)
	}
}

// handOver gives a new supervisor the pidfds that the old one gave us, and lets
// go of containers that have ended. What lives stays held throughout, so that
// nothing is lost if this supervisor dies as well.
func (r *Runtime) handOver(ctx context.Context, l *link) error {
	r.mu.Lock()
	all := maps.Clone(r.held)
	r.mu.Unlock()
	for id, h := range all {
		f := r.heldPidfd(id, h)
		if f == nil {
			continue // a new one has come meanwhile
		}
		k, err := l.call(wire.OpAdopt, wire.Adopt{ID: id, Pid: h.pid}, f)
		f.Close()
		if err != nil {
			return err
		}
		m, err := k.wait(ctx)
		k.forget()
		if err != nil {
			return err
		}
		closeFiles(m.Files)
		var st container.State
		if m.Err != nil || json.Unmarshal(m.Body, &st) != nil || st.Status == container.Stopped {
			r.letGo(id)
		}
	}
	return nil
}

// heldPidfd copies the pidfd of h if that is what is held for id.
func (r *Runtime) heldPidfd(id string, h *held) *os.File {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[id] != h {
		return nil
	}
	raw, err := h.files[0].SyscallConn()
	if err != nil {
		return nil
	}
	fd := -1
	_ = raw.Control(func(n uintptr) { fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 3) })
	if err != nil || fd < 0 {
		return nil
	}
	return os.NewFile(uintptr(fd), "pidfd")
}
