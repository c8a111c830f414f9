package memory

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/lifepod/lifepod/store"
)

// watcher is one running Watch. Its fields are guarded by Store.mu.
type watcher struct {
	prefix string
	wake   chan struct{} // holds one wake-up
	done   int64         // everything up to here is told or does not match
	next   int64         // first change under prefix that is not told; 0: none
}

// batch bounds how many events a watcher copies under the lock at once.
const batch = 64

// publish records ev and wakes those whom it concerns; mu is held.
func (s *Store) publish(ev store.Event) {
	s.history.add(ev)
	for w := range s.watchers {
		if !strings.HasPrefix(ev.Item.Key, w.prefix) {
			continue
		}
		if w.next == 0 {
			w.next = ev.Revision
		}
		w.signal()
	}
}

// wakeLate wakes watchers whose next change is forgotten; mu is held.
func (s *Store) wakeLate() {
	for w := range s.watchers {
		if w.next != 0 && w.next <= s.history.forgotten {
			w.signal()
		}
	}
}

func (w *watcher) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Watch implements store.Store. A change is told only if it is still in the
// history, see Options.
func (s *Store) Watch(ctx context.Context, prefix string, o store.WatchOptions) iter.Seq2[store.Event, error] {
	since := o.Since
	if since == 0 { // "now" is the call, not the first turn of the loop
		s.mu.Lock()
		s.init()
		since = s.revision
		s.mu.Unlock()
	}
	return func(yield func(store.Event, error) bool) {
		w, err := s.join(prefix, since)
		if err != nil {
			yield(store.Event{}, err)
			return
		}
		defer s.leave(w)
		s.run(ctx, w, o.BookmarkEvery, yield)
	}
}

func (s *Store) join(prefix string, since int64) (*watcher, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	switch {
	case since > s.revision:
		return nil, fmt.Errorf("watch %q from revision %d: %w: the store is at %d", prefix, since, store.ErrFuture, s.revision)
	case since < s.history.forgotten:
		return nil, fmt.Errorf("watch %q from revision %d: %w: the oldest is %d", prefix, since, store.ErrTooOld, s.history.forgotten)
	}
	w := &watcher{prefix: prefix, wake: make(chan struct{}, 1), done: since}
	for _, ev := range s.history.after(since) {
		if strings.HasPrefix(ev.Item.Key, prefix) {
			w.next = ev.Revision
			w.signal()
			break
		}
	}
	s.watchers[w] = struct{}{}
	return w, nil
}

func (s *Store) leave(w *watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers, w)
}

// run tells w its changes until it is left, dropped, or ctx ends.
func (s *Store) run(ctx context.Context, w *watcher, every time.Duration, yield func(store.Event, error) bool) {
	var bookmark <-chan time.Time
	var timer *time.Timer
	if every > 0 {
		timer = time.NewTimer(every)
		defer timer.Stop()
		bookmark = timer.C
	}
	for {
		select {
		case <-ctx.Done():
			yield(store.Event{}, ctx.Err())
			return
		case <-w.wake:
			events, err := s.take(w)
			for _, ev := range events {
				if ctx.Err() != nil { // end between two events, too
					yield(store.Event{}, ctx.Err())
					return
				}
				if !yield(ev, nil) {
					return
				}
			}
			if err != nil {
				yield(store.Event{}, err)
				return
			}
		case <-bookmark:
			if rev, quiet := s.quiet(w); quiet && !yield(store.Event{Type: store.Bookmark, Revision: rev}, nil) {
				return
			}
		}
		if timer != nil {
			timer.Reset(every)
		}
	}
}

// take copies w's next changes, at most a batch; when more are left it wakes w
// again.
func (s *Store) take(w *watcher) ([]store.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.next == 0 {
		return nil, nil
	}
	if w.next <= s.history.forgotten {
		return nil, fmt.Errorf("watch %q at revision %d: %w: the reader was too slow", w.prefix, w.next, store.ErrTooOld)
	}
	var events []store.Event
	for _, ev := range s.history.after(w.next - 1) {
		if !strings.HasPrefix(ev.Item.Key, w.prefix) {
			continue
		}
		if len(events) == batch {
			w.next = ev.Revision
			w.signal()
			return events, nil
		}
		events = append(events, ev)
		w.done = ev.Revision
	}
	w.next, w.done = 0, s.revision
	return events, nil
}

// quiet reports up to which revision w has been told everything, if it has.
func (s *Store) quiet(w *watcher) (int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision, w.next == 0
}
