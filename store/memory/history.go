package memory

import "github.com/lifepod/lifepod/store"

// history is the changes after revision forgotten, one per revision, oldest first.
type history struct {
	events    []store.Event
	forgotten int64
	bytes     int

	maxEvents, maxBytes int
}

func (h *history) add(ev store.Event) {
	h.events = append(h.events, ev)
	h.bytes += size(ev)
	drop := max(0, len(h.events)-h.maxEvents)
	for bytes := h.bytes; bytes > h.maxBytes && drop < len(h.events)-1; drop++ {
		bytes -= size(h.events[drop])
	}
	h.dropOldest(drop)
}

func (h *history) forget(revision int64) {
	h.dropOldest(int(min(max(0, revision-h.forgotten), int64(len(h.events)))))
}

func (h *history) dropOldest(n int) {
	for i := range n {
		h.bytes -= size(h.events[i])
		h.events[i] = store.Event{} // the backing array must not keep the values
	}
	h.events = h.events[n:]
	h.forgotten += int64(n)
}

// after returns the changes after revision, which must not be older than forgotten.
func (h *history) after(revision int64) []store.Event {
	return h.events[revision-h.forgotten:]
}

func size(ev store.Event) int {
	n := len(ev.Item.Value) + len(ev.Item.Key)
	if ev.Prev != nil {
		n += len(ev.Prev.Value)
	}
	return n
}
