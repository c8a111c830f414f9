package image

import (
	"context"
	"iter"
	"sync"
)

// Pulling is Pull as a stream of its progress; Get returns the image when the
// stream has ended without an error. An error is the last value. To break out of
// the loop, or to end ctx, ends the pull, and what it half made is gone when the
// loop is. o.Progress is not called.
//
// Each layer begins as Waiting and ends as Done; in between it is Fetching, then
// Unpacking, or only that if the store has its blob. A layer whose blob turns out
// to be damaged is fetched after it was unpacked. Fetching begins with the bytes
// that an earlier pull left. A reader that is slower than the pull does not hold
// it up: of the values of one phase of a layer that wait for it, it gets the
// last.
func (s *Store) Pulling(ctx context.Context, name string, o PullOptions) iter.Seq2[Progress, error] {
	return Follow(ctx, func(ctx context.Context, report func(Progress)) error {
		o := o
		o.Progress = report
		_, err := s.Pull(ctx, name, o)
		return err
	})
}

// Follow is what Pulling does, for anything that reports progress: Load, say, or
// archive.Load. work ends when its context does; the stream ends after work has.
func Follow(ctx context.Context, work func(ctx context.Context, report func(Progress)) error) iter.Seq2[Progress, error] {
	return func(yield func(Progress, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		news := &news{some: make(chan struct{}, 1)}
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			err = work(ctx, news.put)
		}()
		defer func() { cancel(); <-done }()
		for ended := false; !ended; {
			select {
			case <-news.some:
			case <-done:
				ended = true
			}
			for p, ok := news.take(); ok; p, ok = news.take() {
				if !yield(p, nil) {
					return
				}
			}
		}
		if err != nil {
			yield(Progress{}, err)
		}
	}
}

// news is what a reader has not seen yet: of each phase of a layer the last.
type news struct {
	some chan struct{} // holds a token while something waits

	mu   sync.Mutex
	wait []Progress
}

func (n *news) put(p Progress) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.add(p)
	select {
	case n.some <- struct{}{}:
	default:
	}
}

func (n *news) add(p Progress) {
	for i := len(n.wait) - 1; i >= 0; i-- {
		old := &n.wait[i]
		if old.Index != p.Index {
			continue
		}
		if old.Phase == p.Phase {
			*old = p
			return
		}
		break // what is older lies before another phase
	}
	n.wait = append(n.wait, p)
}

func (n *news) take() (p Progress, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.wait) == 0 {
		return p, false
	}
	p = n.wait[0]
	n.wait = n.wait[1:]
	return p, true
}
