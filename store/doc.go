// Package store keeps bytes under keys the way etcd does: every write gets the
// next number of one global, rising revision, a write may be conditional on the
// revision that it replaces, and a watch continues from any revision that is
// still remembered.
//
// It is the lower of the two seams between control plane and node. Programs and
// blocks see store/typed, which speaks of Kubernetes objects; only packages below
// store/ see bytes. The package imports the standard library alone.
//
// # Revisions
//
// An empty store is at revision 1; the first write makes 2. One write is one
// revision and changes one key. Revisions of one store may be compared; they say
// nothing about those of another store.
//
// # Watching without loss
//
// List returns the revision at which it was true. Watch from that revision tells
// everything that came after it, in order, each change once:
//
//	items, rev, err := s.List(ctx, "pods/")
//	…
//	for ev, err := range s.Watch(ctx, "pods/", store.WatchOptions{Since: rev}) {
//		if errors.Is(err, store.ErrTooOld) {
//			// start again with List
//		}
//		…
//	}
//
// A store remembers a bounded number of changes. Whoever reads so slowly that his
// next change is forgotten gets ErrTooOld and has to list again; writers and other
// watchers never wait for him.
package store
