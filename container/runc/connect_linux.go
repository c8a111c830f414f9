package runc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/lifepod/lifepod/container"
)

var errClosed = errors.New("the runtime is closed")

// connect returns the link, made new if it broke. Without need, and where there
// are no containers, no supervisor is started, and the error is ErrNotFound.
func (r *Runtime) connect(ctx context.Context, need bool) (*link, error) {
	if l, err := r.current(); l != nil || err != nil {
		return l, err
	}
	select {
	case r.dialing <- struct{}{}:
		defer func() { <-r.dialing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l, err := r.current(); l != nil || err != nil {
		return l, err
	}
	l, err := r.reach(ctx, need)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		l.wire.Close()
		return nil, errClosed
	}
	r.link = l // Close ends it from now on
	r.wg.Go(func() { r.read(l) })
	r.mu.Unlock()
	if err := r.handOver(ctx, l); err != nil {
		l.wire.Close()
		return nil, err
	}
	l.ready.Store(true)
	return l, nil
}

func (r *Runtime) current() (*link, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errClosed
	}
	if r.link != nil && r.link.alive() && r.link.ready.Load() {
		return r.link, nil
	}
	return nil, nil
}

// reach connects to the supervisor that runs, or to one that it starts.
func (r *Runtime) reach(ctx context.Context, need bool) (*link, error) {
	l, err := dial(r.cfg)
	var refused *refusedError
	if err == nil || errors.As(err, &refused) {
		return l, err
	}
	if !need && !r.hasContainers() {
		return nil, fmt.Errorf("there are no containers under %s: %w", r.cfg.Root, container.ErrNotFound)
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("start the supervisor: containers need root: run this program as root")
	}
	for {
		if l, err = r.startAndDial(ctx); err == nil || !errors.Is(err, errTryAgain) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-r.closing:
			return nil, errClosed
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// errTryAgain is for a supervisor that was ending, or that another agent
// started.
var errTryAgain = errors.New("the supervisor is ending")

// startAndDial starts a supervisor unless one listens by the time that it is our
// turn, and connects to it.
func (r *Runtime) startAndDial(ctx context.Context) (*link, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	if err := checkPrivate(r.cfg.Run); err != nil {
		return nil, err
	}
	lock, err := lockFile(ctx, r.cfg.Lock())
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	var refused *refusedError
	if l, err := dial(r.cfg); err == nil || errors.As(err, &refused) {
		return l, err
	}
	if err := r.spawn(ctx); err != nil {
		return nil, err
	}
	l, err := dial(r.cfg)
	if err != nil && !errors.As(err, &refused) {
		return nil, fmt.Errorf("connect to the supervisor that was just started (%w): %w", errTryAgain, err)
	}
	return l, err
}

// hasContainers tells whether an earlier supervisor left something to take up.
func (r *Runtime) hasContainers() bool {
	entries, err := os.ReadDir(r.cfg.Containers())
	return err == nil && len(entries) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// linkBroke tells the readers of events, and sees to it that containers do not
// stay without a supervisor.
func (r *Runtime) linkBroke(l *link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link == l {
		r.link = nil
	}
	if r.closed {
		return
	}
	for s := range r.subs {
		s.tell(container.Event{Kind: container.EventLost})
	}
	r.wg.Go(r.revive) // where no container is left, the next one cleans up and ends
}

// revive connects again, for as long as that takes.
func (r *Runtime) revive() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		select {
		case <-r.closing:
			stop()
		case <-ctx.Done():
		}
	}()
	wait := 20 * time.Millisecond
	for try := 0; ; try++ {
		if try > 40 { // containers have waited for 15 s: something is wrong that time may not heal
			wait = min(2*wait, time.Minute)
		} else {
			wait = min(2*wait, 400*time.Millisecond)
		}
		_, err := r.connect(ctx, true)
		if err == nil || ctx.Err() != nil || errors.Is(err, errClosed) {
			return
		}
		r.opts.Log.Error(err, "start the supervisor again", "root", r.cfg.Root)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
