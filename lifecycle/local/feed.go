package local

import (
	"context"
	"iter"
	"sync"
)

// feedMax bounds what a feed remembers for readers that come late.
const feedMax = 1024

// feed is a growing list that many may read from its beginning. A reader that
// falls behind by more than feedMax misses the oldest. The zero value is ready.
type feed[T any] struct {
	mu     sync.Mutex
	items  []T
	first  int // the number of items[0]
	news   chan struct{}
	closed bool
}

func (f *feed[T]) add(v T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.items = append(f.items, v)
	if len(f.items) > feedMax {
		f.items = append([]T(nil), f.items[1:]...)
		f.first++
	}
	f.announce()
}

func (f *feed[T]) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.announce()
}

func (f *feed[T]) announce() {
	if f.news != nil {
		close(f.news)
		f.news = nil
	}
}

// from returns the items from number i on, the next number, and what to wait
// for; a nil channel says that no more will come.
func (f *feed[T]) from(i int) ([]T, int, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i = max(i, f.first)
	out := append([]T(nil), f.items[i-f.first:]...)
	if f.closed {
		return out, i + len(out), nil
	}
	if f.news == nil {
		f.news = make(chan struct{})
	}
	return out, i + len(out), f.news
}

// last is the number of the newest item, 0 if there is none.
func (f *feed[T]) last() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.first + max(len(f.items)-1, 0)
}

// all yields every item, or those from the newest on, until the feed is closed or
// ctx ends.
func (f *feed[T]) all(ctx context.Context, fromNewest bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		next := 0
		if fromNewest {
			next = f.last()
		}
		for {
			items, after, news := f.from(next)
			next = after
			for _, v := range items {
				if !yield(v, nil) {
					return
				}
			}
			if news == nil {
				return
			}
			select {
			case <-news:
			case <-ctx.Done():
				f.rest(next, ctx.Err(), yield)
				return
			}
		}
	}
}

// rest yields what is there from number i on, and then err.
func (f *feed[T]) rest(i int, err error, yield func(T, error) bool) {
	items, _, _ := f.from(i)
	for _, v := range items {
		if !yield(v, nil) {
			return
		}
	}
	var zero T
	yield(zero, err)
}
