package store

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Errors that every Store returns wrapped; match them with errors.Is.
var (
	// ErrNotFound is for a key that is not there.
	ErrNotFound = errors.New("key not found")
	// ErrExists is for a Put with Absent of a key that is there.
	ErrExists = errors.New("key already exists")
	// ErrConflict is for a write whose expected revision is not the key's.
	ErrConflict = errors.New("revision conflict")
	// ErrTooOld ends a watch whose next change is no longer remembered.
	ErrTooOld = errors.New("revision too old")
	// ErrFuture ends a watch from a revision that the store has not reached.
	ErrFuture = errors.New("revision in the future")
)

// What a write expects of the key, where it does not name a revision.
const (
	// Absent: the key must not exist.
	Absent int64 = 0
	// Any: whatever is there.
	Any int64 = -1
)

// Item is one key and its value.
type Item struct {
	Key string
	// Value is shared with the store: read it, do not change it.
	Value []byte
	// Revision of the last write to the key.
	Revision int64
	// Created is the revision that made the key.
	Created int64
}

// EventType says what happened.
type EventType int

// The kinds of events.
const (
	// Put: Item was written. Prev is nil when it is new.
	Put EventType = iota + 1
	// Delete: Prev was removed. Item holds its key and the revision of the removal.
	Delete
	// Bookmark: nothing happened under the prefix up to Revision.
	Bookmark
)

func (t EventType) String() string {
	switch t {
	case Put:
		return "PUT"
	case Delete:
		return "DELETE"
	case Bookmark:
		return "BOOKMARK"
	}
	return "UNKNOWN"
}

// Event is one change, or a bookmark.
type Event struct {
	Type EventType
	Item Item
	// Prev is what the key held before, nil if it was absent.
	Prev *Item
	// Revision of the change; a watch from it continues after this event.
	Revision int64
}

// WatchOptions are the options of Watch. The zero value watches from now on,
// without bookmarks.
type WatchOptions struct {
	// Since is the revision after which to begin. Zero is the revision at the
	// time of the call to Watch.
	Since int64
	// BookmarkEvery asks for a bookmark whenever nothing was sent for that long.
	// Zero sends none.
	BookmarkEvery time.Duration
}

// Store keeps bytes under keys. All methods are safe for concurrent use, and all
// errors can be told apart with errors.Is.
//
// An implementation observes these rules, which storetest.Run checks:
//   - a write that returned is seen by every read that begins afterwards;
//   - each successful write has a revision higher than all before it;
//   - a failed write changes nothing and uses no revision;
//   - a slow or stalled watcher delays nobody;
//   - values are copied on the way in.
type Store interface {
	// Get returns the item under key, or ErrNotFound.
	Get(ctx context.Context, key string) (Item, error)
	// List returns all items whose key begins with prefix, in the order of their
	// keys, and the revision at which this was the whole truth.
	List(ctx context.Context, prefix string) (items []Item, revision int64, err error)
	// Put writes value under key if the key is at revision expect, and returns
	// the new revision. With Absent it fails with ErrExists if the key is there;
	// with a revision it fails with ErrConflict if the key is at another one and
	// with ErrNotFound if it is gone; with Any it always writes.
	Put(ctx context.Context, key string, value []byte, expect int64) (revision int64, err error)
	// Delete removes key if it is at revision expect, or whatever it is at with
	// Any, and returns the revision of the removal. A missing key is ErrNotFound.
	Delete(ctx context.Context, key string, expect int64) (revision int64, err error)
	// Watch yields the changes under prefix in the order of their revisions, each
	// once, until ctx ends (then it yields ctx's error and stops) or the loop is
	// left. An error is the last thing that it yields: ErrTooOld when a change to
	// be told is forgotten, ErrFuture when Since has not happened yet.
	Watch(ctx context.Context, prefix string, o WatchOptions) iter.Seq2[Event, error]
}

// Compacter is the ability of a Store to forget history on demand.
type Compacter interface {
	// Compact forgets all changes up to and including revision.
	Compact(ctx context.Context, revision int64) error
}
