package pacing

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		l     Limits
		every time.Duration
		burst int
		err   string
	}{
		"the kubelet's defaults": {Limits{}, 200 * time.Millisecond, 10, ""},
		"own ones":               {Limits{QPS: 50, Burst: 1}, 20 * time.Millisecond, 1, ""},
		"no rate":                {Limits{QPS: -1, Burst: 3}, 0, 0, ""},
		"less than none":         {Limits{QPS: -2}, 0, 0, "QPS is -2"},
		"a burst below none":     {Limits{Burst: -1}, 0, 0, "Burst is -1"},
		"places below none":      {Limits{Parallel: -2}, 0, 0, "Parallel is -2"},
		"more than can be":       {Limits{QPS: 2_000_000_000}, 0, 0, "at most 1000000000"},
	} {
		_, err := New(c.l)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if b := c.l.Bucket(); err != nil || b.Every != c.every || b.Burst != c.burst {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
}

func TestBucket(t *testing.T) {
	now := time.Unix(1e9, 0)
	b := Limits{}.Bucket()
	take := func(after time.Duration, want int) {
		t.Helper()
		now = now.Add(after)
		got := 0
		for ok := true; ok && got <= 2*DefaultBurst; {
			if b, ok = b.Take(now); ok {
				got++
			}
		}
		if got != want {
			t.Errorf("after %v: %d pulls may begin, want %d", after, got, want)
		}
	}
	take(0, 10)
	take(199*time.Millisecond, 0)
	take(time.Millisecond, 1)
	take(time.Second, 5)
	take(time.Hour, 10)
	take(-time.Hour, 0) // the clock was set back: nothing is given,
	take(time.Second, 5)
	take(-time.Hour, 0)
	take(2*time.Second, 10) // and nothing lost
	var endless Bucket
	for range 1000 {
		var ok bool
		if endless, ok = endless.Take(now); !ok {
			t.Fatal("a bucket without a rate ran out")
		}
	}
}

// A bucket is what one that counts its tokens would be.
func TestBucketModel(t *testing.T) {
	for seed := range uint64(500) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		l := Limits{QPS: 1 + rnd.IntN(20), Burst: 1 + rnd.IntN(12)}
		b, every := l.Bucket(), time.Second/time.Duration(l.QPS)
		now := time.Unix(1e9, 0)
		credit := time.Duration(l.Burst) * every
		for range 200 {
			step := time.Duration(rnd.Int64N(int64(3 * every)))
			now, credit = now.Add(step), min(credit+step, time.Duration(l.Burst)*every)
			want := credit >= every
			if want {
				credit -= every
			}
			var ok bool
			if b, ok = b.Take(now); ok != want {
				t.Fatalf("seed %d, %+v: %v at %v, want %v", seed, l, ok, now, want)
			}
		}
	}
}

// Pulls run one after another by default, in the order in which they came; one
// that is given up leaves the line at once, and holds up nobody.
func TestGateLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := New(Limits{})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var said []string
		say := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, fmt.Sprintf(format, args...))
		}
		began := time.Now()
		var wg sync.WaitGroup
		defer wg.Wait()
		for i := range 4 {
			ctx := t.Context()
			if i == 1 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeoutCause(ctx, 1500*time.Millisecond, errors.New("the pod is gone"))
				defer cancel()
			}
			wg.Go(func() {
				err := g.Do(ctx, func() error { time.Sleep(time.Second); return nil })
				say("%d %v %v", i, time.Since(began), err)
			})
			synctest.Wait()
			if i == 1 {
				time.Sleep(600 * time.Millisecond)
			}
		}
		wg.Wait()
		want := []string{"0 1s <nil>", "1 2s <nil>", "2 3s <nil>", "3 4s <nil>"}
		if !slices.Equal(said, want) {
			t.Errorf("one after another: %q", said)
		}
	})
}

func TestGateGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := New(Limits{})
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() { _ = g.Do(t.Context(), func() error { time.Sleep(time.Hour); return nil }) })
		synctest.Wait()
		gone := errors.New("the pod is gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		var got error
		wg.Go(func() { got = g.Do(ctx, func() error { t.Error("it was pulled"); return nil }) })
		var after time.Duration
		began := time.Now()
		wg.Go(func() { _ = g.Do(t.Context(), func() error { after = time.Since(began); return nil }) })
		synctest.Wait()
		cancel(gone)
		synctest.Wait()
		if !errors.Is(got, gone) || time.Since(began) != 0 {
			t.Errorf("after %v: %v", time.Since(began), got)
		}
		wg.Wait()
		if after != time.Hour {
			t.Errorf("the next one pulled after %v", after)
		}
	})
}

// So many run at once, whatever the number (no more than 31 was once a panic in
// the kubelet), and a pull that panics gives its place back.
func TestGateParallel(t *testing.T) {
	for _, n := range []int{1, 2, 31, 32, 100, -1} {
		synctest.Test(t, func(t *testing.T) {
			g, err := New(Limits{QPS: -1, Parallel: n})
			if err != nil {
				t.Fatal(err)
			}
			func() {
				defer func() { _ = recover() }()
				_ = g.Do(t.Context(), func() error { panic("oh") })
			}()
			var mu sync.Mutex
			running, most := 0, 0
			add := func(d int) {
				mu.Lock()
				defer mu.Unlock()
				running += d
				most = max(most, running)
			}
			var wg sync.WaitGroup
			for range 120 {
				wg.Go(func() {
					_ = g.Do(t.Context(), func() error { add(1); time.Sleep(time.Second); add(-1); return nil })
				})
			}
			wg.Wait()
			want := n
			if n < 0 {
				want = 120
			}
			if most != want {
				t.Errorf("%d at once, want %d", most, want)
			}
		})
	}
}

// The rate is asked when it is a pull's turn, not when it gets in line.
func TestGateRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := New(Limits{QPS: 1, Burst: 2})
		pull := func() error {
			return g.Do(t.Context(), func() error { time.Sleep(100 * time.Millisecond); return nil })
		}
		var got []error
		for range 4 {
			got = append(got, pull())
		}
		time.Sleep(time.Second)
		got = append(got, pull())
		if want := []error{nil, nil, ErrRate, ErrRate, nil}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
