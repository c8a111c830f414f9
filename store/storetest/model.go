package storetest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lifepod/lifepod/store"
)

// model is the trivial store: a map with versions, and all that ever happened.
type model struct {
	rev   int64
	items map[string]store.Item
	log   []store.Event
}

// testModel runs random operations on s and on the model and compares every
// answer, then replays the whole history through a watch.
func testModel(t *testing.T, s store.Store) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 7))
		_, rev, err := s.List(t.Context(), "")
		want(t, err, nil)
		m := &model{rev: rev, items: map[string]store.Item{}}
		prefix := fmt.Sprintf("s%d/", seed)
		for range 400 {
			m.step(t, s, rng, prefix)
		}
		m.compare(t, s, prefix)
		m.replay(t, s, prefix, rev)
	}
}

func (m *model) step(t *testing.T, s store.Store, rng *rand.Rand, prefix string) {
	t.Helper()
	key := prefix + string(rune('a'+rng.IntN(6)))
	old, exists := m.items[key]
	expect := []int64{store.Any, store.Absent, old.Revision, old.Revision + 3, 1}[rng.IntN(5)]
	switch rng.IntN(4) {
	case 0:
		rev, err := s.Delete(t.Context(), key, expect)
		m.check(t, "delete", key, rev, err, m.verdict(old, exists, expect, true))
		if err == nil {
			delete(m.items, key)
			m.log = append(m.log, store.Event{Type: store.Delete, Item: store.Item{Key: key}, Revision: m.rev})
		}
	default:
		value := fmt.Sprint(rng.Uint32())
		rev, err := s.Put(t.Context(), key, []byte(value), expect)
		m.check(t, "put", key, rev, err, m.verdict(old, exists, expect, false))
		if err == nil {
			it := store.Item{Key: key, Value: []byte(value), Revision: m.rev, Created: m.rev}
			if exists {
				it.Created = old.Created
			}
			m.items[key] = it
			m.log = append(m.log, store.Event{Type: store.Put, Item: it, Revision: m.rev})
		}
	}
}

// verdict is the error that the rules demand.
func (m *model) verdict(old store.Item, exists bool, expect int64, del bool) error {
	switch {
	case del && !exists:
		return store.ErrNotFound
	case expect == store.Any:
		return nil
	case expect == store.Absent && exists:
		return store.ErrExists
	case expect == store.Absent:
		return nil
	case !exists:
		return store.ErrNotFound
	case old.Revision != expect:
		return store.ErrConflict
	}
	return nil
}

func (m *model) check(t *testing.T, what, key string, rev int64, err, verdict error) {
	t.Helper()
	if !errors.Is(err, verdict) || (verdict == nil) != (err == nil) {
		t.Fatalf("%s %s: %v, want %v", what, key, err, verdict)
	}
	if err != nil {
		return
	}
	if rev != m.rev+1 {
		t.Fatalf("%s %s has revision %d, want %d", what, key, rev, m.rev+1)
	}
	m.rev = rev
}

func (m *model) compare(t *testing.T, s store.Store, prefix string) {
	t.Helper()
	items, rev, err := s.List(t.Context(), prefix)
	want(t, err, nil)
	if rev != m.rev {
		t.Errorf("list at revision %d, want %d", rev, m.rev)
	}
	if got, expect := keys(items), slices.Sorted(maps.Keys(m.items)); !slices.Equal(got, expect) {
		t.Fatalf("keys %v, want %v", got, expect)
	}
	for _, it := range items {
		w := m.items[it.Key]
		if string(it.Value) != string(w.Value) || it.Revision != w.Revision || it.Created != w.Created {
			t.Errorf("%+v, want %+v", it, w)
		}
	}
}

func (m *model) replay(t *testing.T, s store.Store, prefix string, since int64) {
	t.Helper()
	i := 0
	for ev, err := range s.Watch(t.Context(), prefix, store.WatchOptions{Since: since}) {
		want(t, err, nil)
		w := m.log[i]
		if ev.Type != w.Type || ev.Item.Key != w.Item.Key || ev.Revision != w.Revision || string(ev.Item.Value) != string(w.Item.Value) {
			t.Fatalf("event %d is %+v, want %+v", i, ev, w)
		}
		if i++; i == len(m.log) {
			return
		}
	}
}

// testConcurrent lets writers count with Update: no increment may be lost.
func testConcurrent(t *testing.T, s store.Store) {
	const writers, each = 4, 50
	var wg sync.WaitGroup
	errs := make(chan error, writers)
	for range writers {
		wg.Go(func() {
			for range each {
				_, err := store.Update(t.Context(), s, "n", func(old store.Item) ([]byte, error) {
					return append(old.Value[:len(old.Value):len(old.Value)], 'x'), nil
				})
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	it, err := s.Get(t.Context(), "n")
	want(t, err, nil)
	if string(it.Value) != strings.Repeat("x", writers*each) {
		t.Errorf("%d increments kept of %d", len(it.Value), writers*each)
	}
}
