package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lifepod/lifepod/store"
)

var watchRules = []rule{
	{"watch from a revision", "Watch tells every later change under the prefix once and in order", testWatch},
	{"watch from now", "Watch without Since begins at the call, not at the first turn of the loop", func(t *testing.T, s store.Store) {
		put(t, s, "a", "before", store.Absent)
		seq := s.Watch(t.Context(), "", store.WatchOptions{})
		put(t, s, "b", "after", store.Absent)
		for ev, err := range seq {
			want(t, err, nil)
			if ev.Item.Key != "b" {
				t.Errorf("first event is of %q, want b", ev.Item.Key)
			}
			break
		}
	}},
	{"list then watch", "nothing is lost or told twice between List and Watch", testListWatch},
	{"resume", "a watch continues from the revision of any event", testResume},
	{"watch the future", "Watch from a revision that has not happened is ErrFuture", func(t *testing.T, s store.Store) {
		rev := put(t, s, "a", "1", store.Absent)
		want(t, firstError(t, s, rev+10), store.ErrFuture)
	}},
	{"compacted", "Watch from a forgotten revision is ErrTooOld", testCompacted},
	{"end of context", "an ended context ends the watch with its error", func(t *testing.T, s store.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		put(t, s, "a", "1", store.Absent)
		var last error
		for ev, err := range s.Watch(ctx, "", store.WatchOptions{Since: 1}) {
			if last = err; err == nil && ev.Type == store.Put {
				cancel()
			}
		}
		want(t, last, context.Canceled)
		cancel()
	}},
	{"stalled watcher", "a watcher that does not read delays no writer and gets all, or ErrTooOld", testStalled},
	{"bookmarks", "a quiet watch gets bookmarks with the store's revision", testBookmarks},
}

func testWatch(t *testing.T, s store.Store) {
	start := put(t, s, "p/a", "0", store.Absent)
	r1 := put(t, s, "p/a", "1", start)
	put(t, s, "q/a", "other", store.Absent)
	r2 := put(t, s, "p/b", "2", store.Absent)
	r3, err := s.Delete(t.Context(), "p/a", store.Any)
	want(t, err, nil)
	got := collect(t, s, "p/", start, 3)
	expect := []string{
		fmt.Sprintf("PUT p/a=1 prev 0 @%d", r1),
		fmt.Sprintf("PUT p/b=2 new @%d", r2),
		fmt.Sprintf("DELETE p/a= prev 1 @%d", r3),
	}
	if !slices.Equal(got, expect) {
		t.Errorf("watched\n%q, want\n%q", got, expect)
	}
}

func testListWatch(t *testing.T, s store.Store) {
	for i := range 5 {
		put(t, s, fmt.Sprintf("p/%d", i), "x", store.Absent)
	}
	_, rev, err := s.List(t.Context(), "p/")
	want(t, err, nil)
	done := make(chan error, 1)
	ctx := t.Context()
	go func() {
		for i := range 20 {
			if _, err := s.Put(ctx, fmt.Sprintf("p/%d", i), []byte("y"), store.Any); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	got := collect(t, s, "p/", rev, 20)
	want(t, <-done, nil)
	for i, line := range got {
		if key := fmt.Sprintf("PUT p/%d=y", i); line[:len(key)] != key {
			t.Errorf("event %d is %q, want %q", i, line, key)
		}
	}
}

func testResume(t *testing.T, s store.Store) {
	since := put(t, s, "a", "0", store.Absent)
	for i := range 3 {
		put(t, s, "a", fmt.Sprint(i+1), store.Any)
	}
	var got []string
	for range 3 { // a new watch per event
		for ev, err := range s.Watch(t.Context(), "", store.WatchOptions{Since: since}) {
			want(t, err, nil)
			got = append(got, string(ev.Item.Value))
			since = ev.Revision
			break
		}
	}
	if fmt.Sprint(got) != "[1 2 3]" {
		t.Errorf("resumed watches told %v, want [1 2 3]", got)
	}
}

func testCompacted(t *testing.T, s store.Store) {
	c, ok := s.(store.Compacter)
	if !ok {
		t.Skip("not a store.Compacter")
	}
	first := put(t, s, "a", "1", store.Absent)
	second := put(t, s, "a", "2", store.Any)
	third := put(t, s, "a", "3", store.Any)
	want(t, c.Compact(t.Context(), second), nil)
	want(t, firstError(t, s, first), store.ErrTooOld)
	if got := collect(t, s, "", second, 1); got[0] != fmt.Sprintf("PUT a=3 prev 2 @%d", third) {
		t.Errorf("after compaction: %q", got)
	}
	want(t, c.Compact(t.Context(), third+100), store.ErrFuture)
	holds(t, s, "a", "3", third)
}

func testStalled(t *testing.T, s store.Store) {
	start := put(t, s, "a", "0", store.Absent)
	put(t, s, "a", "1", store.Any)
	const writes = 6000
	seen := 0
	var last error
	for ev, err := range s.Watch(t.Context(), "", store.WatchOptions{Since: start}) {
		if last = err; err != nil {
			break
		}
		if seen++; seen == 1 { // the loop's body holds the watcher while others write
			for range writes {
				put(t, s, "a", "x", store.Any)
			}
		}
		if ev.Revision != start+int64(seen) {
			t.Fatalf("event %d has revision %d, want %d: a change is missing", seen, ev.Revision, start+int64(seen))
		}
		if seen == writes+1 {
			break
		}
	}
	if seen != writes+1 && !errors.Is(last, store.ErrTooOld) {
		t.Errorf("told %d of %d changes, then %v", seen, writes+1, last)
	}
}

func testBookmarks(t *testing.T, s store.Store) {
	rev := put(t, s, "other/a", "1", store.Absent)
	for ev, err := range s.Watch(t.Context(), "p/", store.WatchOptions{Since: 1, BookmarkEvery: 10 * time.Millisecond}) {
		want(t, err, nil)
		if ev.Type != store.Bookmark || ev.Revision != rev {
			t.Errorf("got %v at %d, want a bookmark at %d", ev.Type, ev.Revision, rev)
		}
		break
	}
}

// collect returns n events in words.
func collect(t *testing.T, s store.Store, prefix string, since int64, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out []string
	for ev, err := range s.Watch(ctx, prefix, store.WatchOptions{Since: since}) {
		if err != nil {
			t.Fatalf("watch ended after %q: %v", out, err)
		}
		from := "new"
		if ev.Prev != nil {
			from = "prev " + string(ev.Prev.Value)
		}
		out = append(out, fmt.Sprintf("%v %s=%s %s @%d", ev.Type, ev.Item.Key, ev.Item.Value, from, ev.Revision))
		if len(out) == n {
			break
		}
	}
	return out
}

func firstError(t *testing.T, s store.Store, since int64) error {
	t.Helper()
	for ev, err := range s.Watch(t.Context(), "", store.WatchOptions{Since: since}) {
		if err == nil {
			t.Fatalf("watch from %d told %+v instead of an error", since, ev)
		}
		return err
	}
	return nil
}
