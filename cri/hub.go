package cri

import (
	"sync"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// hint says that something happened to a container or, with id == sandbox, to a
// sandbox.
type hint struct {
	id, sandbox string
	kind        runtimeapi.ContainerEventType
	at          time.Time
}

// maxHints may wait for one reader.
const maxHints = 1024

// hub spreads hints. It never waits for a reader. Its zero value works.
type hub struct {
	mu       sync.Mutex
	watchers map[string]map[chan struct{}]bool
	readers  map[chan hint]bool
	closed   bool
}

// watch returns a channel that gets something at each hint about id.
func (h *hub) watch(id string) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers == nil {
		h.watchers = map[string]map[chan struct{}]bool{}
	}
	if h.watchers[id] == nil {
		h.watchers[id] = map[chan struct{}]bool{}
	}
	h.watchers[id][ch] = true
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if delete(h.watchers[id], ch); len(h.watchers[id]) == 0 {
			delete(h.watchers, id)
		}
	}
}

// read returns a channel of all hints. It is closed when the hub is, and when
// its reader is so slow that hints would be lost.
func (h *hub) read() (<-chan hint, func()) {
	ch := make(chan hint, maxHints)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(ch)
		return ch, func() {}
	}
	if h.readers == nil {
		h.readers = map[chan hint]bool{}
	}
	h.readers[ch] = true
	return ch, func() { h.mu.Lock(); defer h.mu.Unlock(); h.drop(ch) }
}

func (h *hub) drop(ch chan hint) {
	if h.readers[ch] {
		delete(h.readers, ch)
		close(ch)
	}
}

func (h *hub) publish(e hint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.watchers[e.id] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
	for ch := range h.readers {
		select {
		case ch <- e:
		default:
			h.drop(ch)
		}
	}
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for ch := range h.readers {
		h.drop(ch)
	}
}
