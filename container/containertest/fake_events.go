package containertest

import (
	"context"
	"iter"

	"github.com/lifepod/lifepod/container"
)

// fakeSub is one loop over Events.
type fakeSub struct {
	events chan container.Event
	lost   chan struct{}
}

// tell gives e to all loops, and tells those that are behind. f.mu is held.
func (f *Fake) tell(e container.Event) {
	for s := range f.subs {
		select {
		case s.events <- e:
			continue
		default:
		}
		select {
		case s.lost <- struct{}{}:
		default:
		}
	}
}

// Events implements container.Runtime.
func (f *Fake) Events(ctx context.Context) iter.Seq2[container.Event, error] {
	return func(yield func(container.Event, error) bool) {
		s := &fakeSub{events: make(chan container.Event, 64), lost: make(chan struct{}, 1)}
		f.mu.Lock()
		if f.subs == nil {
			f.subs = map[*fakeSub]bool{}
		}
		f.subs[s] = true
		f.mu.Unlock()
		defer func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			delete(f.subs, s)
		}()
		for {
			var e container.Event
			select {
			case <-ctx.Done():
				return
			case e = <-s.events:
			case <-s.lost:
				e.Kind = container.EventLost
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}
