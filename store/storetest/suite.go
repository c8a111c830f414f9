package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/lifepod/lifepod/store"
)

// rule is one case of the suite: a name, what is broken when it fails, the test.
type rule struct {
	name, why string
	run       func(t *testing.T, s store.Store)
}

// Run checks the rules of store.Store against what open returns. open is called
// once per rule and must return an empty store; it cleans up through t.Cleanup.
// A store that also is a store.Compacter has that ability checked too.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Log("the rule: " + r.why)
				}
			})
			r.run(t, open(t))
		})
	}
}

func rules() []rule {
	return append(append(writeRules, watchRules...),
		rule{"model", "random operations give what a plain map with versions gives", testModel},
		rule{"concurrent writers", "of several writers that expect one revision exactly one wins", testConcurrent},
	)
}

var writeRules = []rule{
	{"get absent", "Get of a missing key is ErrNotFound", func(t *testing.T, s store.Store) {
		_, err := s.Get(t.Context(), "a")
		want(t, err, store.ErrNotFound)
	}},
	{"empty list", "an empty store has a revision that is not 0, since 0 means none", func(t *testing.T, s store.Store) {
		items, rev, err := s.List(t.Context(), "")
		want(t, err, nil)
		if len(items) != 0 || rev < 1 {
			t.Errorf("List of an empty store: %d items at revision %d", len(items), rev)
		}
	}},
	{"put and get", "Get returns what was put, with revision and creation", testPutGet},
	{"create twice", "Put with Absent of a present key is ErrExists and changes nothing", func(t *testing.T, s store.Store) {
		rev := put(t, s, "a", "1", store.Absent)
		_, err := s.Put(t.Context(), "a", []byte("2"), store.Absent)
		want(t, err, store.ErrExists)
		holds(t, s, "a", "1", rev)
	}},
	{"stale update", "Put with another revision is ErrConflict and changes nothing", func(t *testing.T, s store.Store) {
		first := put(t, s, "a", "1", store.Absent)
		second := put(t, s, "a", "2", first)
		_, err := s.Put(t.Context(), "a", []byte("3"), first)
		want(t, err, store.ErrConflict)
		holds(t, s, "a", "2", second)
	}},
	{"update of absent", "Put with a revision of a missing key is ErrNotFound", func(t *testing.T, s store.Store) {
		_, err := s.Put(t.Context(), "a", nil, 7)
		want(t, err, store.ErrNotFound)
	}},
	{"unconditional", "Put with Any creates and overwrites", func(t *testing.T, s store.Store) {
		put(t, s, "a", "1", store.Any)
		holds(t, s, "a", "2", put(t, s, "a", "2", store.Any))
	}},
	{"delete", "Delete honours the revision, and a second Delete is ErrNotFound", testDelete},
	{"list by prefix", "List returns exactly the keys under the prefix, sorted", testList},
	{"value is copied", "the caller may reuse the slice that he put", func(t *testing.T, s store.Store) {
		value := []byte("1")
		rev, err := s.Put(t.Context(), "a", value, store.Absent)
		want(t, err, nil)
		value[0] = 'x'
		holds(t, s, "a", "1", rev)
	}},
	{"ended context", "no method works with an ended context", func(t *testing.T, s store.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.Get(ctx, "a")
		want(t, err, context.Canceled)
		_, err = s.Put(ctx, "a", nil, store.Any)
		want(t, err, context.Canceled)
		_, err = s.Delete(ctx, "a", store.Any)
		want(t, err, context.Canceled)
		_, _, err = s.List(ctx, "")
		want(t, err, context.Canceled)
	}},
}

func testPutGet(t *testing.T, s store.Store) {
	first := put(t, s, "a", "1", store.Absent)
	holds(t, s, "a", "1", first)
	second := put(t, s, "a", "2", first)
	if second <= first {
		t.Errorf("revision %d after %d", second, first)
	}
	it, err := s.Get(t.Context(), "a")
	want(t, err, nil)
	if it.Created != first || it.Key != "a" {
		t.Errorf("item %+v, want key a, created at %d", it, first)
	}
}

func testDelete(t *testing.T, s store.Store) {
	first := put(t, s, "a", "1", store.Absent)
	second := put(t, s, "a", "2", first)
	_, err := s.Delete(t.Context(), "a", first)
	want(t, err, store.ErrConflict)
	holds(t, s, "a", "2", second)
	gone, err := s.Delete(t.Context(), "a", second)
	want(t, err, nil)
	if gone <= second {
		t.Errorf("removal at revision %d, write at %d", gone, second)
	}
	_, err = s.Delete(t.Context(), "a", store.Any)
	want(t, err, store.ErrNotFound)
	again := put(t, s, "a", "3", store.Absent)
	if it, _ := s.Get(t.Context(), "a"); it.Created != again {
		t.Errorf("made again at %d, says created %d", again, it.Created)
	}
}

func testList(t *testing.T, s store.Store) {
	for _, key := range []string{"b/2", "a/1", "b/1", "b", "b0", "c/1"} {
		put(t, s, key, key, store.Absent)
	}
	items, _, err := s.List(t.Context(), "b/")
	want(t, err, nil)
	if got := fmt.Sprint(keys(items)); got != "[b/1 b/2]" {
		t.Errorf("List of b/: %s", got)
	}
	items, _, err = s.List(t.Context(), "")
	want(t, err, nil)
	if got := fmt.Sprint(keys(items)); got != "[a/1 b b/1 b/2 b0 c/1]" {
		t.Errorf("List of everything: %s", got)
	}
}

func keys(items []store.Item) []string {
	var out []string
	for _, it := range items {
		out = append(out, it.Key)
	}
	return out
}

func put(t *testing.T, s store.Store, key, value string, expect int64) int64 {
	t.Helper()
	rev, err := s.Put(t.Context(), key, []byte(value), expect)
	if err != nil {
		t.Fatalf("Put(%q, expect %d): %v", key, expect, err)
	}
	return rev
}

func holds(t *testing.T, s store.Store, key, value string, rev int64) {
	t.Helper()
	it, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("Get(%q): %v", key, err)
	}
	if string(it.Value) != value || it.Revision != rev {
		t.Errorf("%q holds %q at %d, want %q at %d", key, it.Value, it.Revision, value, rev)
	}
}

func want(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error is %v, want %v", err, target)
	}
}
