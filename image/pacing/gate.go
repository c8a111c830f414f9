package pacing

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Gate is what the pulls of a node go through. Its methods are safe for
// concurrent use.
type Gate struct {
	places *semaphore.Weighted // nil: without end

	mu     sync.Mutex
	bucket Bucket
}

// New makes a gate. Its error is that of [Limits.Check].
func New(l Limits) (*Gate, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	g := &Gate{bucket: l.Bucket()}
	if l.Parallel == 0 {
		l.Parallel = DefaultParallel
	}
	if l.Parallel > 0 {
		g.places = semaphore.NewWeighted(int64(l.Parallel))
	}
	return g, nil
}

// Do waits until it is its turn, takes a token, and returns what pull returns:
// [ErrRate] instead if there is no token, the cause of ctx's end if that comes
// first. Whoever gives up leaves the line.
func (g *Gate) Do(ctx context.Context, pull func() error) error {
	if g.places != nil {
		if err := g.places.Acquire(ctx, 1); err != nil {
			return context.Cause(ctx)
		}
		defer g.places.Release(1)
	}
	if !g.take() {
		return ErrRate
	}
	return pull()
}

func (g *Gate) take() (ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bucket, ok = g.bucket.Take(time.Now())
	return ok
}
