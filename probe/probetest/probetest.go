// Package probetest has a fake prober and the suite that every prober passes.
package probetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/lifepod/lifepod/probe"
)

// Answer is one answer of a Fake.
type Answer struct {
	Outcome probe.Outcome
	Message string
	Err     error
	// After is how long the answer takes.
	After time.Duration
}

// Fake answers as told. The zero value always succeeds. It is safe for
// concurrent use.
type Fake struct {
	// Answers are given in turn; the last one again and again.
	Answers []Answer

	mu    sync.Mutex
	asked int
}

var _ probe.Prober = (*Fake)(nil)

// Probe gives the next answer.
func (f *Fake) Probe(ctx context.Context) (probe.Outcome, string, error) {
	a := f.next()
	if a.After > 0 {
		select {
		case <-time.After(a.After):
		case <-ctx.Done():
		}
	}
	switch {
	case ctx.Err() != nil:
		return probe.Unknown, "", ctx.Err()
	case a.Err != nil:
		return probe.Unknown, "", a.Err
	case a.Outcome == "":
		return probe.Success, a.Message, nil
	}
	return a.Outcome, a.Message, nil
}

func (f *Fake) next() Answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if len(f.Answers) == 0 {
		return Answer{}
	}
	return f.Answers[min(f.asked, len(f.Answers))-1]
}

// Asked is how often Probe was called.
func (f *Fake) Asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// Probers make probers of one kind against targets in a known state.
type Probers struct {
	// Good meets a target that is well, Bad one that is not.
	Good, Bad func(t *testing.T) probe.Prober
	// Silent meets a target that does not answer; its timeout is 100 ms or less.
	Silent func(t *testing.T) probe.Prober
	// Endless is Silent with a timeout of a minute or more.
	Endless func(t *testing.T) probe.Prober
}

// Run checks the contract of probe.Prober.
func Run(t *testing.T, p Probers) {
	answers := func(name string, make func(*testing.T) probe.Prober, want probe.Outcome, rule string) {
		t.Run(name, func(t *testing.T) {
			pr := make(t)
			for range 3 {
				out, msg, err := pr.Probe(t.Context())
				if err != nil || out != want {
					t.Fatalf("got %q %q %v, want %q: %s", out, msg, err, want, rule)
				}
				if out == probe.Failure && name == "silent" && msg == "" {
					t.Fatal("a timeout says what was waited for")
				}
			}
		})
	}
	answers("good", p.Good, probe.Success, "a prober can be asked again and again")
	answers("bad", p.Bad, probe.Failure, "a target that is not well is an answer, no error")
	answers("silent", p.Silent, probe.Failure, "a prober's own timeout is an answer, no error")
	t.Run("cancelled before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if out, _, err := p.Good(t).Probe(ctx); out != probe.Unknown || !errors.Is(err, context.Canceled) {
			t.Fatalf("got %q %v, want unknown and the context's error: it was not the target that failed", out, err)
		}
	})
	t.Run("cancelled while it waits", func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errors.New("enough"))
		defer cancel()
		if out, _, err := p.Endless(t).Probe(ctx); out != probe.Unknown || err == nil {
			t.Fatalf("got %q %v, want unknown and the context's error", out, err)
		}
	})
}
