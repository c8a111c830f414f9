package image

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
)

// keyed holds a lock per name, among the goroutines of this process.
type keyed struct {
	mu    sync.Mutex
	locks map[string]*keyedLock
}

type keyedLock struct {
	sem   chan struct{}
	users int
}

func (k *keyed) lock(ctx context.Context, name string) (unlock func(), err error) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[string]*keyedLock{}
	}
	l := k.locks[name]
	if l == nil {
		l = &keyedLock{sem: make(chan struct{}, 1)}
		k.locks[name] = l
	}
	l.users++
	k.mu.Unlock()
	release := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(k.locks, name)
		}
	}
	select {
	case l.sem <- struct{}{}:
		return func() { <-l.sem; release() }, nil
	case <-ctx.Done():
		release()
		return nil, context.Cause(ctx)
	}
}

// lockWork makes work on one blob or layer exclusive, in this process and
// between processes. A goroutine that holds two locked the layer before its
// blob, and waits for nothing else while it holds a blob; layers wait only for
// the layers below them. So nobody waits in a circle.
func (s *Store) lockWork(ctx context.Context, kind, digest string) (unlock func(), err error) {
	name := kind + "-" + strings.ReplaceAll(digest, ":", "-")
	inner, err := s.work.lock(ctx, name)
	if err != nil {
		return nil, err
	}
	outer, err := flockName(ctx, filepath.Join(s.root, "locks", name))
	if err != nil {
		inner()
		return nil, err
	}
	return func() { outer(); inner() }, nil
}
