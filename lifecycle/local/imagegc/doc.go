// Package imagegc removes images that nothing uses from a node's store, as the
// kubelet does: at once and then every 5 minutes by age and, above the high
// threshold, down to the low one. As in the kubelet no image goes before it was
// watched for MinAge: pods that were there before may be about to need it. What the
// kubelet does not: it looks at once when a pull left the disk too full, and makes
// room, whatever was watched for how long, when one failed because there was none.
//
// The images are lifepod's own store's, or with [CRI] those of any runtime.
//
// What goes is [github.com/lifepod/lifepod/image/policy.Collect]'s decision, what
// is told and when it is worth another look this package's, both without a clock.
// Between two collections one timer of 5 minutes is all that is armed.
package imagegc

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/policy"
)

// Period is how long the collector rests between two collections: the kubelet's
// ImageGCPeriod.
const Period = 5 * time.Minute

// Store is what a collector needs of *image.Store.
type Store interface {
	FreeSpace(ctx context.Context, o image.SpaceOptions) (image.Freed, error)
	Prune(ctx context.Context, o image.SpaceOptions) (image.Freed, error)
}

// Options of a Collector. The zero value has the kubelet's defaults.
type Options struct {
	// The thresholds and ages. A HighPercent of 100 without a MaxAge turns the
	// collection off, as it does in the kubelet.
	policy.GCOptions
	// Event, if set, is told of each warning: the kubelet's events of the node.
	Event func(reason, message string)
	// Log gets what went. The zero value discards it.
	Log logr.Logger
}

// Collector removes images. Its methods are safe for concurrent use.
type Collector struct {
	store Store
	o     Options
	began time.Time
	poke  chan struct{} // holds a token when a pull asks for a look

	mu     sync.Mutex // held by who collects
	memory memory
}

// New makes a collector, which does nothing until it is asked, or until Run.
func New(s Store, o Options) *Collector {
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	return &Collector{store: s, o: o, began: time.Now(), poke: make(chan struct{}, 1)}
}

// Run collects, at once and after each period, until ctx ends. after is called after
// each collection, for what is kept of images beside them.
func (c *Collector) Run(ctx context.Context, after func(context.Context) error) {
	if c.off() {
		return
	}
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.poke:
			if !c.worthwhile() {
				continue
			}
		case <-next.C:
		}
		c.collect(ctx)
		if err := after(ctx); err != nil && ctx.Err() == nil {
			c.o.Log.Error(err, "after a collection of images")
		}
		next.Reset(Period)
	}
}

// Pulled says that an image came. If the disk is above the high threshold now,
// Run collects at once. It never waits.
func (c *Collector) Pulled() {
	select {
	case c.poke <- struct{}{}:
	default:
	}
}

// MakeRoom removes what it may, for a pull that began at a time and failed for
// lack of space, and says whether it is worth trying again: whether anything was
// removed since then. It does so by the thresholds; if these find nothing to do,
// as when inodes are lacking, everything that is unused and not too young goes.
func (c *Collector) MakeRoom(ctx context.Context, began time.Time) bool {
	if c.off() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.memory.freed.After(began) { // another pull's call was quicker
		return true
	}
	o := image.SpaceOptions{GCOptions: c.o.GCOptions}
	o.MaxAge = 0 // what goes is the least recently used, and no more than there has to
	freed, err := c.store.FreeSpace(ctx, o)
	if !some(freed) {
		var perr error
		freed, perr = c.store.Prune(ctx, o)
		err = errors.Join(err, perr)
	}
	if !some(freed) {
		c.o.Log.Info("no space for a pull, and no image to remove", "error", errorText(err))
		return false
	}
	c.memory.freed = time.Now()
	c.tell(freed)
	return true
}

func (c *Collector) off() bool { return c.o.HighPercent == 100 && c.o.MaxAge == 0 }

func (c *Collector) worthwhile() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.memory.worthwhile(time.Now())
}

func (c *Collector) collect(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	freed, err := c.store.FreeSpace(ctx, image.SpaceOptions{GCOptions: c.o.GCOptions, Since: c.began})
	if ctx.Err() != nil {
		return // it was broken off, which is no failure
	}
	if some(freed) {
		c.tell(freed)
	}
	var events []event
	c.memory, events = c.memory.after(time.Now(), some(freed), err)
	if err != nil {
		c.o.Log.Error(err, "collect images")
	}
	for _, e := range events {
		if c.o.Event != nil {
			c.o.Event(e.reason, e.message)
		}
	}
}

func (c *Collector) tell(f image.Freed) {
	c.o.Log.Info("removed images that nothing uses", "images", len(f.Images), "bytes", f.Bytes, "partial", f.Partial)
}

func some(f image.Freed) bool { return len(f.Images) > 0 || f.Partial > 0 }

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
