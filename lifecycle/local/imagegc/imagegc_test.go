package imagegc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/policy"
)

// fakeStore is a disk of 100 bytes with images, and policy's decisions over them.
type fakeStore struct {
	ends    int // of collections, as after counts
	mu      sync.Mutex
	began   time.Time
	other   int64 // bytes that are no image's
	images  []policy.Candidate
	err     error // instead of anything else
	calls   []string
	blocked chan struct{} // if set, FreeSpace waits for it
}

func (f *fakeStore) FreeSpace(ctx context.Context, o image.SpaceOptions) (image.Freed, error) {
	f.mu.Lock()
	f.calls = append(f.calls, fmt.Sprint("free at ", time.Since(f.began)))
	blocked := f.blocked
	f.mu.Unlock()
	if blocked != nil {
		select {
		case <-blocked:
		case <-ctx.Done():
			return image.Freed{}, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return image.Freed{}, f.err
	}
	used := f.other
	for _, i := range f.images {
		used += i.Size
	}
	g := policy.Collect(time.Now(), o.Since, o.GCOptions, policy.Disk{Capacity: 100, Available: 100 - used}, f.seen(o.Since))
	freed := f.remove(g)
	if g.Message != "" {
		return freed, full(g.Message)
	}
	return freed, nil
}

func (f *fakeStore) Prune(_ context.Context, o image.SpaceOptions) (image.Freed, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprint("prune at ", time.Since(f.began)))
	return f.remove(policy.Unused(time.Now(), o.GCOptions, f.seen(o.Since))), nil
}

// seen are the images as whoever watches since then sees them.
func (f *fakeStore) seen(since time.Time) []policy.Candidate {
	images := slices.Clone(f.images)
	for i, c := range images {
		if c.FirstSeen.Before(since) {
			images[i].FirstSeen = since
		}
	}
	return images
}

func (f *fakeStore) remove(g policy.GC) (freed image.Freed) {
	f.images = slices.DeleteFunc(f.images, func(c policy.Candidate) bool {
		gone := slices.Contains(g.Delete, c.ID)
		if gone {
			freed.Images = append(freed.Images, digest.Digest(c.ID))
			freed.Bytes += c.Size
		}
		return gone
	})
	return freed
}

// after counts the ends of collections, and fails.
func (f *fakeStore) after(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ends++
	return errors.New("no record can be removed")
}

func (f *fakeStore) told() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// set changes what the store finds.
func (f *fakeStore) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// left are the images that are still there.
func (f *fakeStore) left() (ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.images {
		ids = append(ids, i.ID)
	}
	return ids
}

type full string

func (e full) Error() string  { return string(e) }
func (e full) Reason() string { return image.ReasonFreeDiskSpace }

// bubble runs a collector beside a test, in a bubble of its own: it has collected
// for the first time, with nothing to do.
func bubble(t *testing.T, o Options, do func(t *testing.T, s *fakeStore, c *Collector, events func() []string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var events []string
		o.Event = func(reason, message string) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, reason+": "+message)
		}
		s := &fakeStore{began: time.Now()}
		c := New(s, o)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); c.Run(ctx, s.after) }()
		synctest.Wait()
		do(t, s, c, func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(events) })
		stop()
		<-done
	})
}

// pass lets time go by, and what falls due in it be done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func old(ids ...string) (images []policy.Candidate) {
	for i, id := range ids {
		images = append(images, policy.Candidate{ID: id, Size: 20, FirstSeen: time.Now().Add(-time.Hour), LastUsed: time.Now().Add(time.Duration(i-60) * time.Minute)})
	}
	return images
}

func TestPeriod(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *fakeStore, _ *Collector, events func() []string) {
		pass(16 * time.Minute)
		if want := []string{"free at 0s", "free at 5m0s", "free at 10m0s", "free at 15m0s"}; !slices.Equal(s.told(), want) || len(events()) > 0 {
			t.Errorf("%q, events %q", s.told(), events())
		}
		if s.ends != 4 {
			t.Errorf("4 collections had %d ends", s.ends)
		}
	})
}

func TestOff(t *testing.T) {
	for o, off := range map[policy.GCOptions]bool{
		{HighPercent: 100}:                      true,
		{HighPercent: 100, MaxAge: time.Hour}:   false,
		{HighPercent: 99, LowPercent: 1}:        false,
		{HighPercent: 100, MinAge: time.Minute}: true,
	} {
		bubble(t, Options{GCOptions: o}, func(t *testing.T, s *fakeStore, c *Collector, _ func() []string) {
			if got := len(s.told()) == 0; got != off {
				t.Errorf("%+v: off is %t", o, got)
			}
			if off && (c.MakeRoom(t.Context(), time.Now()) || len(s.told()) > 0) {
				t.Errorf("%+v: it makes room", o)
			}
		})
	}
}

// A disk that is full when the node starts is told, as the kubelet tells it: what
// was there before may be about to be used. The next time it goes.
func TestFullAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, told := &fakeStore{began: time.Now(), other: 60, images: old("a", "b")}, 0
		c := New(s, Options{Event: func(string, string) { told++ }})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); c.Run(ctx, s.after) }()
		synctest.Wait()
		if len(s.left()) != 2 || told != 1 {
			t.Errorf("at the start: left %q, %d events", s.left(), told)
		}
		pass(Period)
		if len(s.left()) != 1 || told != 1 {
			t.Errorf("after a period: left %q, %d events", s.left(), told)
		}
		stop()
		<-done
	})
}

// Down to the low threshold: the least recently used goes; what is in use, pinned
// or too young stays.
func TestCollects(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *fakeStore, _ *Collector, events func() []string) {
		s.set(func() {
			s.images = old("a", "b", "c", "d", "e")
			s.images[0].InUse, s.images[1].Pinned = true, true
			s.images[2].FirstSeen = time.Now().Add(Period - time.Minute)
		})
		pass(Period)
		if got := s.left(); !slices.Equal(got, []string{"a", "b", "c", "e"}) || len(events()) > 0 {
			t.Errorf("left %q, events %q", got, events())
		}
	})
}

func TestMaxAge(t *testing.T) {
	bubble(t, Options{GCOptions: policy.GCOptions{MaxAge: 30 * time.Minute}}, func(t *testing.T, s *fakeStore, _ *Collector, _ func() []string) {
		s.set(func() {
			s.images = old("a", "b")
			s.images[1].InUse = true
		})
		pass(30 * time.Minute)
		if got := s.left(); len(got) != 2 {
			t.Errorf("before the collector has watched for so long: left %q", got)
		}
		pass(Period)
		if got := s.left(); !slices.Equal(got, []string{"b"}) {
			t.Errorf("left %q", got)
		}
	})
}

const fullMessage = "Insufficient free disk space on the node's image filesystem (90% of 100 B used). " +
	"Failed to free sufficient space by deleting unused images (freed 0 bytes). " +
	"Investigate disk usage, as it could be used by active images, logs, volumes, or other data."

// The events are the kubelet's: of the full disk each time, of a failure from the
// second in a row on.
func TestEvents(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *fakeStore, _ *Collector, events func() []string) {
		lacking, failed := "FreeDiskSpaceFailed: "+fullMessage, "ImageGCFailed: "+fullMessage
		s.set(func() { s.other = 90 })
		var want []string
		for _, more := range [][]string{{lacking}, {lacking, failed}, {lacking, failed}} {
			pass(Period)
			if want = append(want, more...); !slices.Equal(events(), want) {
				t.Fatalf("events %q, want %q", events(), want)
			}
		}
		s.set(func() { s.other = 0 })
		pass(Period)
		s.set(func() { s.err = errors.New("read-only file system") })
		pass(Period)
		if !slices.Equal(events(), want) {
			t.Errorf("a first failure is told: %q", events())
		}
		pass(Period)
		if want = append(want, "ImageGCFailed: read-only file system"); !slices.Equal(events(), want) {
			t.Errorf("events %q, want %q", events(), want)
		}
	})
}

// A pull that leaves the disk too full has a collection at once, a hundred of
// them one; after one that failed it waits for its time. Images that were not
// watched for long stay.
func TestPulled(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *fakeStore, c *Collector, events func() []string) {
		pass(3 * time.Minute)
		looking := make(chan struct{})
		s.set(func() { s.other, s.images, s.blocked = 60, old("a", "b"), looking })
		c.Pulled()
		synctest.Wait()
		for range 100 { // while it looks: it looks once more
			c.Pulled()
		}
		s.set(func() { s.blocked = nil })
		close(looking)
		synctest.Wait()
		if want := []string{"free at 0s", "free at 3m0s", "free at 3m0s"}; !slices.Equal(s.told(), want) || len(s.left()) != 1 {
			t.Errorf("%q, left %q", s.told(), s.left())
		}
		s.set(func() { s.other = 90 })
		c.Pulled()
		synctest.Wait()
		n := len(s.told())
		pass(time.Minute)
		c.Pulled()
		synctest.Wait()
		if len(s.told()) != n || len(events()) != 1 {
			t.Errorf("soon after one that failed: %q, events %q", s.told()[n:], events())
		}
		pass(4 * time.Minute)
		if len(s.told()) != n+1 {
			t.Errorf("in its time: %q", s.told()[n:])
		}
	})
}

func TestMakeRoom(t *testing.T) {
	t.Run("by the thresholds", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeStore, c *Collector, _ func() []string) {
			s.set(func() { s.other, s.images = 50, old("a", "b") })
			if !c.MakeRoom(t.Context(), time.Now()) || !slices.Equal(s.told(), []string{"free at 0s", "free at 0s"}) || len(s.left()) != 1 {
				t.Errorf("%q, left %q", s.told(), s.left())
			}
		})
	})
	t.Run("below them, what is unused", func(t *testing.T) { // of inodes, say
		bubble(t, Options{}, func(t *testing.T, s *fakeStore, c *Collector, _ func() []string) {
			s.set(func() {
				s.images = old("a", "b")
				s.images[0].InUse = true
			})
			if !c.MakeRoom(t.Context(), time.Now()) || !slices.Equal(s.left(), []string{"a"}) {
				t.Errorf("%q, left %q", s.told(), s.left())
			}
			if c.MakeRoom(t.Context(), time.Now()) {
				t.Error("it is worth trying again, though nothing went")
			}
		})
	})
	t.Run("once for all that failed", func(t *testing.T) {
		bubble(t, Options{}, func(t *testing.T, s *fakeStore, c *Collector, _ func() []string) {
			s.set(func() { s.other, s.images, s.blocked = 60, old("a", "b"), make(chan struct{}) })
			began := time.Now()
			pass(time.Second)
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					if !c.MakeRoom(t.Context(), began) {
						t.Error("not worth trying again")
					}
				})
			}
			close(s.blocked)
			wg.Wait()
			if len(s.told()) != 2 {
				t.Errorf("%q", s.told())
			}
		})
	})
}

// The end does not wait for a store that does not answer, and is no failure.
func TestEnds(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *fakeStore, _ *Collector, events func() []string) {
		s.set(func() { s.blocked = make(chan struct{}) })
		pass(Period)
		if len(s.told()) != 2 || len(events()) != 0 {
			t.Errorf("%q, events %q", s.told(), events())
		}
	})
}
