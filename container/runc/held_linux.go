package runc

import (
	"os"

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

// handOver gives a new supervisor the pidfds that the old one gave us. It holds
// them back for the containers that live, and lets go of those that do not.
func (r *Runtime) handOver(l *link) error {
	r.mu.Lock()
	all := r.held
	r.held = map[string]*held{}
	r.mu.Unlock()
	var first error
	for id, h := range all {
		if first == nil {
			k, err := l.call(wire.OpAdopt, wire.Adopt{ID: id, Pid: h.pid}, h.files[0])
			if err == nil {
				k.forget()
				defer h.close() // the supervisor has sent its own by now, or has no need
				continue
			}
			first = err
		}
		r.mu.Lock()
		if r.held[id] == nil {
			r.held[id] = h
		} else {
			h.close()
		}
		r.mu.Unlock()
	}
	return first
}
