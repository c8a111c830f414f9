package image

import (
	"context"
	"sync"

	"github.com/opencontainers/go-digest"
)

// flights are the pulls of this process that are under way and were the first
// of their name. Who comes later waits until the store holds what the first one
// was told, and asks the registry, with credentials of its own, for the digest
// only.
type flights struct {
	mu   sync.Mutex
	name map[string]*flight
}

type flight struct {
	once  sync.Once
	ready chan struct{} // closed when the store holds index and manifest, or never will
	top   digest.Digest // of them; written before ready is closed
}

// landed says what the name means; "" that this one did not find out.
func (f *flight) landed(top digest.Digest) {
	f.once.Do(func() { f.top = top; close(f.ready) })
}

// board makes the caller the first pull of a name, who has to end the flight, or
// returns another's after it landed.
func (f *flights) board(ctx context.Context, name string) (fl *flight, first bool, err error) {
	f.mu.Lock()
	fl = f.name[name]
	if fl == nil {
		if f.name == nil {
			f.name = map[string]*flight{}
		}
		fl, first = &flight{ready: make(chan struct{})}, true
		f.name[name] = fl
	}
	f.mu.Unlock()
	if first {
		return fl, true, nil
	}
	select {
	case <-fl.ready:
		return fl, false, nil
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
}

func (f *flights) end(name string, fl *flight) {
	fl.landed("")
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.name, name)
}
