package memory_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lifepod/lifepod/store"
	"github.com/lifepod/lifepod/store/memory"
	"github.com/lifepod/lifepod/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return new(memory.Store) })
}

// A watcher beyond the history is dropped.
func TestHistoryIsBounded(t *testing.T) {
	for name, o := range map[string]memory.Options{
		"count": {History: 10},
		"bytes": {HistoryBytes: 100},
	} {
		t.Run(name, func(t *testing.T) {
			s := memory.New(o)
			busy := 0
			_, _ = s.Put(t.Context(), "busy/a", []byte("1"), store.Absent)
			for _, err := range s.Watch(t.Context(), "busy/", store.WatchOptions{Since: 1}) {
				if err != nil {
					if !errors.Is(err, store.ErrTooOld) {
						t.Errorf("slow watcher ends with %v", err)
					}
					break
				}
				busy++
				for i := range 100 {
					_, _ = s.Put(t.Context(), "busy/a", fmt.Appendf(nil, "value %d", i), store.Any)
				}
			}
			if busy != 1 {
				t.Errorf("slow watcher was told %d changes before it was dropped, want 1", busy)
			}
		})
	}
}

func TestQuietWatcherSurvivesOthersWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{History: 4})
		got := make(chan store.Event, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		go func() {
			defer close(got)
			for ev, err := range s.Watch(ctx, "quiet/", store.WatchOptions{}) {
				if err != nil {
					return
				}
				got <- ev
				return
			}
		}()
		synctest.Wait()
		for range 100 {
			_, _ = s.Put(ctx, "busy/a", []byte("x"), store.Any)
		}
		_, _ = s.Put(ctx, "quiet/a", []byte("x"), store.Any)
		if ev := <-got; ev.Item.Key != "quiet/a" {
			t.Errorf("the quiet watcher was dropped: %+v", ev)
		}
	})
}

// Bookmarks come only after a silence of that length.
func TestBookmarkPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		_, _ = s.Put(ctx, "a", nil, store.Absent)
		n := 0
		for ev, err := range s.Watch(ctx, "", store.WatchOptions{Since: 1, BookmarkEvery: time.Minute}) {
			if err != nil {
				break
			}
			if ev.Type != store.Bookmark {
				continue
			}
			if n++; n == 3 {
				cancel()
			}
		}
		cancel()
		if d := time.Since(start); d != 3*time.Minute {
			t.Errorf("three bookmarks took %v", d)
		}
	})
}

func BenchmarkPut(b *testing.B) {
	s := memory.New(memory.Options{})
	value := make([]byte, 4096)
	for i := 0; b.Loop(); i++ {
		if _, err := s.Put(b.Context(), fmt.Sprintf("pods/default/%d", i%1000), value, store.Any); err != nil {
			b.Fatal(err)
		}
	}
}
