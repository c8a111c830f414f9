package remote

import (
	"context"
	"fmt"
	"time"
)

// watchdog cancels a context when nothing has happened for a while.
type watchdog struct {
	timer  *time.Timer
	after  time.Duration
	ctx    context.Context //nolint:containedctx // it is the watchdog's own, asked for its cause
	cancel context.CancelCauseFunc
}

func newWatchdog(ctx context.Context, after time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{after: after, ctx: ctx, cancel: cancel}
	w.timer = time.AfterFunc(after, func() {
		cancel(fmt.Errorf("%w for %v", ErrStalled, after))
	})
	return ctx, w
}

// progress says that something happened.
func (w *watchdog) progress() { w.timer.Reset(w.after) }

// hold stops the clock until the next progress.
func (w *watchdog) hold() { w.timer.Stop() }

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// cause replaces the error of a request that the context ended by the reason
// why it did.
func (w *watchdog) cause(err error) error {
	if err != nil && w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	return err
}
