package runc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc/internal/wire"
)

// Attach implements container.Attacher. A Stdin is read until its end, also
// after Attach has returned. A writer that takes longer than a second for what
// the container writes is given up, with an error.
func (r *Runtime) Attach(ctx context.Context, id string, s container.Streams) error {
	l, err := r.connect(ctx, false)
	if err != nil {
		return err
	}
	var io stdio
	defer func() { closeFiles(io.ends) }()
	if s.Stdout != nil {
		err = io.pipe(s.Stdout)
	}
	if err == nil && s.Stderr != nil {
		err = io.pipe(s.Stderr)
	}
	if err != nil {
		io.sent()
		return err
	}
	k, err := l.call(wire.OpAttach,
		wire.Attach{ID: id, Stdin: s.Stdin != nil, Stdout: s.Stdout != nil, Stderr: s.Stderr != nil}, io.theirs...)
	io.sent()
	if err != nil {
		return err
	}
	defer k.forget()
	err = attached(ctx, l, k, id, s, &io)
	stop := ctx.Done()
	if err != nil {
		stop = closedChannel
	}
	io.finish(stop)
	return err
}

// attached serves the input until the container or ctx ends, or the supervisor
// has given up our output.
func attached(ctx context.Context, l *link, k *call, id string, s container.Streams, io *stdio) error {
	done := make(chan struct{})
	defer close(done)
	over := make(chan struct{})
	go func() {
		io.out.Wait()
		close(over)
	}()
	for {
		m, err := waitOr(ctx, k, over, len(io.ends) > 0)
		switch {
		case err != nil && ctx.Err() != nil:
			cancelled(k)
			return ctx.Err()
		case errors.Is(err, errSlow):
			cancelled(k)
			return fmt.Errorf("attach to container %s: %w", id, err)
		case err != nil:
			return err
		case m.Op == wire.OpDone:
			closeFiles(m.Files)
			return m.Err.Local()
		}
		if err := begin(l, id, s, m, done); err != nil {
			cancelled(k)
			return err
		}
	}
}

var errSlow = errors.New("its output came faster than it was read")

// waitOr is k.wait that fails when the output has ended and the call has not.
func waitOr(ctx context.Context, k *call, over <-chan struct{}, hasOutput bool) (*wire.Message, error) {
	if !hasOutput {
		return k.wait(ctx)
	}
	early, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-over:
			select { // an end of the container is told just after that of its output
			case <-time.After(killWait):
				stop()
			case <-early.Done():
			}
		case <-early.Done():
		}
	}()
	m, err := k.wait(early)
	if err != nil && ctx.Err() == nil && early.Err() != nil {
		return nil, errSlow
	}
	return m, err
}

// begin starts to carry the input, over what came with m.
func begin(l *link, id string, s container.Streams, m *wire.Message, done <-chan struct{}) error {
	var a wire.Attached
	if err := json.Unmarshal(m.Body, &a); err != nil || len(m.Files) > 1 {
		closeFiles(m.Files)
		return fmt.Errorf("decode the supervisor's answer to attach: %w", err)
	}
	if len(m.Files) == 0 {
		if s.Stdin != nil {
			return fmt.Errorf("attach to container %s: it has no open stdin: %w", id, container.ErrState)
		}
		return nil
	}
	t, err := newTerminal(m.Files[0]) // a FIFO, without a terminal
	if err != nil {
		return err
	}
	if a.TTY && s.Resize != nil {
		go t.follow(s.Resize, done)
	}
	go t.feed(s.Stdin, a.TTY, done, func() {
		if k, err := l.call(wire.OpCloseStdin, wire.Target{ID: id}); err == nil {
			k.forget()
		}
	})
	return nil
}

// feed copies in to the container until either ends; ended is called for the
// former, unless t is to be kept until the latter.
func (t *terminal) feed(in io.Reader, keep bool, done <-chan struct{}, ended func()) {
	defer t.f.Close()
	if in == nil {
		<-done
		return
	}
	copied := make(chan struct{})
	go func() {
		_, _ = io.Copy(onlyWriter{t.f}, in)
		close(copied)
	}()
	select {
	case <-copied:
		if keep {
			<-done
		} else {
			t.f.Close() // before the supervisor closes the other one
			ended()
		}
	case <-done:
	}
}
