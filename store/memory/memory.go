package memory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/lifepod/lifepod/store"
)

// Options are the options of New. The zero value is good.
type Options struct {
	// History bounds how many changes are remembered for watchers. Zero means 4096.
	History int
	// HistoryBytes bounds the size of their values, in bytes. Zero means 64 MiB.
	HistoryBytes int
}

// Store is a store.Store in memory. The zero value is ready to use. It is safe
// for concurrent use and needs no Close.
type Store struct {
	opts Options

	mu       sync.Mutex
	items    map[string]store.Item
	keys     []string // sorted
	revision int64
	history  history
	watchers map[*watcher]struct{}
}

var (
	_ store.Store     = (*Store)(nil)
	_ store.Compacter = (*Store)(nil)
)

// New returns an empty store.
func New(o Options) *Store { return &Store{opts: o} }

// init makes the zero value usable; mu is held.
func (s *Store) init() {
	if s.items != nil {
		return
	}
	s.items = map[string]store.Item{}
	s.watchers = map[*watcher]struct{}{}
	s.revision = 1
	s.history.forgotten = 1
	s.history.maxEvents = orDefault(s.opts.History, 4096)
	s.history.maxBytes = orDefault(s.opts.HistoryBytes, 64<<20)
}

func orDefault(v, d int) int {
	if v <= 0 {
		return d
	}
	return v
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Item, error) {
	if err := ctx.Err(); err != nil {
		return store.Item{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	it, ok := s.items[key]
	if !ok {
		return store.Item{}, fmt.Errorf("get %q: %w", key, store.ErrNotFound)
	}
	return it, nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix string) ([]store.Item, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	var items []store.Item
	from, _ := slices.BinarySearch(s.keys, prefix)
	for _, key := range s.keys[from:] {
		if !strings.HasPrefix(key, prefix) {
			break
		}
		items = append(items, s.items[key])
	}
	return items, s.revision, nil
}

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, key string, value []byte, expect int64) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	old, exists := s.items[key]
	if err := check(key, old, exists, expect); err != nil {
		return 0, fmt.Errorf("put %w", err)
	}
	s.revision++
	it := store.Item{Key: key, Value: slices.Clone(value), Revision: s.revision, Created: s.revision}
	ev := store.Event{Type: store.Put, Revision: s.revision}
	if exists {
		it.Created = old.Created
		ev.Prev = &old
	} else {
		at, _ := slices.BinarySearch(s.keys, key)
		s.keys = slices.Insert(s.keys, at, key)
	}
	ev.Item = it
	s.items[key] = it
	s.publish(ev)
	return s.revision, nil
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key string, expect int64) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	old, exists := s.items[key]
	if !exists {
		return 0, fmt.Errorf("delete %q: %w", key, store.ErrNotFound)
	}
	if err := check(key, old, exists, expect); err != nil {
		return 0, fmt.Errorf("delete %w", err)
	}
	s.revision++
	delete(s.items, key)
	at, _ := slices.BinarySearch(s.keys, key)
	s.keys = slices.Delete(s.keys, at, at+1)
	s.publish(store.Event{
		Type: store.Delete, Revision: s.revision, Prev: &old,
		Item: store.Item{Key: key, Revision: s.revision, Created: old.Created},
	})
	return s.revision, nil
}

// check holds the key's state against what a write expects.
func check(key string, old store.Item, exists bool, expect int64) error {
	switch {
	case expect == store.Any:
		return nil
	case expect == store.Absent && exists:
		return fmt.Errorf("%q: %w", key, store.ErrExists)
	case expect == store.Absent:
		return nil
	case !exists:
		return fmt.Errorf("%q at revision %d: %w", key, expect, store.ErrNotFound)
	case old.Revision != expect:
		return fmt.Errorf("%q at revision %d: %w: it is at %d", key, expect, store.ErrConflict, old.Revision)
	}
	return nil
}

// Compact implements store.Compacter. Revisions that have not happened yet are
// store.ErrFuture.
func (s *Store) Compact(ctx context.Context, revision int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	if revision > s.revision {
		return fmt.Errorf("compact %d: %w: the store is at %d", revision, store.ErrFuture, s.revision)
	}
	s.history.forget(revision)
	s.wakeLate()
	return nil
}
