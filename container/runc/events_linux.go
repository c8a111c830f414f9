package runc

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/lifepod/lifepod/container"
)

// subscriber is one loop over Events.
type subscriber struct {
	events chan container.Event
	lost   atomic.Bool
	wake   chan struct{}
}

func (s *subscriber) tell(e container.Event) {
	if e.Kind != container.EventLost {
		select {
		case s.events <- e:
			return
		default:
		}
	}
	s.lost.Store(true)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (r *Runtime) fanOut(e container.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.subs {
		s.tell(e)
	}
}

// Events implements container.Runtime. It connects first, and ends with an error
// only if that cannot be done.
func (r *Runtime) Events(ctx context.Context) iter.Seq2[container.Event, error] {
	return func(yield func(container.Event, error) bool) {
		s := &subscriber{events: make(chan container.Event, 64), wake: make(chan struct{}, 1)}
		r.mu.Lock()
		r.subs[s] = true
		r.mu.Unlock()
		defer func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.subs, s)
		}()
		if _, err := r.connect(ctx, true); err != nil {
			if ctx.Err() == nil {
				yield(container.Event{}, err)
			}
			return
		}
		for {
			select {
			case <-ctx.Done():
				return
			case <-r.closing:
				yield(container.Event{}, errClosed)
				return
			case e := <-s.events:
				if !yield(e, nil) {
					return
				}
			case <-s.wake:
			}
			if len(s.events) == 0 && s.lost.Swap(false) && !yield(container.Event{Kind: container.EventLost}, nil) {
				return
			}
		}
	}
}
