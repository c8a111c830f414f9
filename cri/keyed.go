package cri

import (
	"context"
	"sync"
)

// keyed makes operations on one id serial. Its zero value works.
type keyed struct {
	mu   sync.Mutex
	held map[string]*turn
}

type turn struct {
	ch   chan struct{} // holds one token while free
	want int
}

// lock waits for id's turn, at most until ctx ends.
func (k *keyed) lock(ctx context.Context, id string) (unlock func(), err error) {
	k.mu.Lock()
	if k.held == nil {
		k.held = map[string]*turn{}
	}
	t := k.held[id]
	if t == nil {
		t = &turn{ch: make(chan struct{}, 1)}
		t.ch <- struct{}{}
		k.held[id] = t
	}
	t.want++
	k.mu.Unlock()
	unlock = func() { t.ch <- struct{}{}; k.done(id, t) }
	select { // what is free is taken, whatever ctx says
	case <-t.ch:
		return unlock, nil
	default:
	}
	select {
	case <-t.ch:
		return unlock, nil
	case <-ctx.Done():
		k.done(id, t)
		return nil, wrap(ctx.Err(), "wait for another operation on %s", id)
	}
}

func (k *keyed) done(id string, t *turn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if t.want--; t.want == 0 {
		delete(k.held, id)
	}
}
