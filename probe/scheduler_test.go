package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// log collects events as "12s Liveness failure" lines, the time counted from
// the bubble's beginning.
type log struct {
	mu    sync.Mutex
	zero  time.Time
	lines []string
}

func newLog() *log { return &log{zero: time.Now()} }

func (l *log) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := fmt.Sprintf("%v %s %s", e.At.Sub(l.zero), e.Kind, e.Outcome)
	if e.Changed {
		line += " -> " + e.Result.String()
	}
	l.lines = append(l.lines, line)
}

func (l *log) check(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.lines, want) {
		t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(l.lines, "\n  "), strings.Join(want, "\n  "))
	}
	l.lines = nil
}

// answers gives one outcome after another, the last one again and again.
func answers(outs ...Outcome) Prober {
	return Func(func(context.Context) (Outcome, string, error) {
		o := outs[0]
		if len(outs) > 1 {
			outs = outs[1:]
		}
		return o, "", nil
	})
}

func takes(d time.Duration, o Outcome) Prober {
	return Func(func(ctx context.Context) (Outcome, string, error) {
		select {
		case <-time.After(d):
			return o, "", nil
		case <-ctx.Done():
			return Unknown, "", ctx.Err()
		}
	})
}

func bubble(t *testing.T, o Options, f func(t *testing.T, s *Scheduler, l *log)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := NewScheduler(o)
		defer s.Close()
		f(t, s, newLog())
	})
}

func TestProbesCountFromTheStart(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Scheduler, l *log) {
		s.Set("a", Target{Start: time.Now(), Deliver: l.add, Probes: []Probe{
			{Kind: Liveness, Prober: answers(Success), InitialDelay: 3500 * time.Millisecond, Period: 2 * time.Second},
			{Kind: Readiness, Prober: answers(Success), Period: 5 * time.Second},
		}})
		time.Sleep(8 * time.Second)
		l.check(t, "0s Readiness success -> Success", "3.5s Liveness success", "5s Readiness success", "5.5s Liveness success", "7.5s Liveness success")
	})
}

func TestStartupHoldsTheOthersBack(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Scheduler, l *log) {
		s.Set("a", Target{Start: time.Now(), Deliver: l.add, Probes: []Probe{
			{Kind: Startup, Prober: answers(Failure, Failure, Success), Period: 1500 * time.Millisecond},
			{Kind: Liveness, Prober: answers(Success), Period: 2 * time.Second},
			{Kind: Readiness, Prober: answers(Success), Period: 2 * time.Second},
		}})
		time.Sleep(7500 * time.Millisecond)
		l.check(t, "0s Startup failure", "1.5s Startup failure", "3s Startup success -> Success",
			"3s Readiness success -> Success", "4s Liveness success", "5s Readiness success", "6s Liveness success", "7s Readiness success")
	})
}

func TestStartupFailureEndsProbing(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Scheduler, l *log) {
		s.Set("a", Target{Start: time.Now(), Deliver: l.add, Probes: []Probe{
			{Kind: Startup, Prober: answers(Failure), Period: time.Second, FailureThreshold: 2},
			{Kind: Liveness, Prober: answers(Success), Period: time.Second},
		}})
		time.Sleep(time.Hour)
		l.check(t, "0s Startup failure", "1s Startup failure -> Failure")
		if s.timer == nil || !s.armed.IsZero() {
			t.Error("a timer is armed with nothing to probe")
		}
	})
}

func TestDeadContainerIsLeftAlone(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Scheduler, l *log) {
		s.Set("a", Target{Start: time.Now(), Deliver: l.add, Probes: []Probe{
			{Kind: Liveness, Prober: answers(Success, Failure), Period: time.Second},
		}})
		time.Sleep(time.Minute)
		l.check(t, "0s Liveness success", "1s Liveness failure", "2s Liveness failure", "3s Liveness failure -> Failure")
	})
}

func TestOverrunIsAskedAgainAtOnce(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Scheduler, l *log) {
		s.Set("a", Target{Start: time.Now(), Deliver: l.add, Probes: []Probe{
			{Kind: Readiness, Prober: takes(2500*time.Millisecond, Success), Period: time.Second},
		}})
		time.Sleep(6 * time.Second)
		l.check(t, "0s Readiness success -> Success", "2.5s Readiness success")
		s.Set("a", Target{Start: time.Now(), Deliver: l.add, Probes: []Probe{
			{Kind: Readiness, Prober: answers(Success), Period: time.Second},
		}})
		time.Sleep(2700 * time.Millisecond)
		l.check(t, "5s Readiness success", "7.5s Readiness success", "8s Readiness success")
	})
}

func TestAdoptedContainerWaitsForItsGrid(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Scheduler, l *log) {
		start := time.Now()
		time.Sleep(7 * time.Second)
		s.Set("old", Target{Start: start, Deliver: l.add, Probes: []Probe{
			{Kind: Liveness, Prober: answers(Success), Period: 5 * time.Second},
			{Kind: Readiness, Prober: answers(Failure), InitialDelay: time.Second / 4, Period: 5 * time.Second, Initial: Good, FailureThreshold: 1},
		}})
		time.Sleep(3500 * time.Millisecond)
		l.check(t, "10s Liveness success", "10.25s Readiness failure -> Failure")
	})
}

func TestStartedBeforeNeedsNoStartupProbe(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Scheduler, l *log) {
		s.Set("a", Target{Start: time.Now(), Deliver: l.add, Probes: []Probe{
			{Kind: Startup, Prober: answers(Failure), Period: time.Second, Initial: Good},
			{Kind: Liveness, Prober: answers(Success), Period: time.Second},
		}})
		time.Sleep(1500 * time.Millisecond)
		l.check(t, "0s Liveness success", "1s Liveness success")
	})
}

func TestSetKeepsCountsAndDropsKinds(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Scheduler, l *log) {
		live := Probe{Kind: Liveness, Prober: answers(Failure), Period: time.Second}
		ready := Probe{Kind: Readiness, Prober: answers(Failure), Period: time.Second}
		start := time.Now()
		s.Set("a", Target{Start: start, Deliver: l.add, Probes: []Probe{ready, live}})
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		l.lines = nil
		s.Set("a", Target{Start: start, Deliver: l.add, Probes: []Probe{live}})
		time.Sleep(2 * time.Second)
		l.check(t, "2s Liveness failure -> Failure")
	})
}

func TestReadinessAddedLaterIsAskedAtOnce(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Scheduler, l *log) {
		start := time.Now()
		startup := Probe{Kind: Startup, Prober: answers(Success), Period: time.Minute}
		s.Set("a", Target{Start: start, Deliver: l.add, Probes: []Probe{startup}})
		time.Sleep(32 * time.Second)
		s.Set("a", Target{Start: start, Deliver: l.add, Probes: []Probe{
			{Kind: Liveness, Prober: answers(Success)}, {Kind: Readiness, Prober: answers(Success)},
		}})
		time.Sleep(9 * time.Second)
		l.check(t, "0s Startup success -> Success", "32s Readiness success -> Success", "40s Liveness success")
	})
}

func TestRemoveCancelsWhatRuns(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Scheduler, l *log) {
		ended := make(chan error, 1)
		s.Set("a", Target{Start: time.Now(), Deliver: l.add, Probes: []Probe{{Kind: Liveness, Prober: Func(func(ctx context.Context) (Outcome, string, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return Unknown, "", ctx.Err()
		})}}})
		time.Sleep(time.Second)
		s.Remove("a")
		s.Remove("a")
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the probe ended with %v", err)
		}
		time.Sleep(time.Hour)
		l.check(t)
		if s.running != 0 || !s.armed.IsZero() {
			t.Errorf("running %d, armed %v", s.running, s.armed)
		}
	})
}

func TestParallelBounds(t *testing.T) {
	bubble(t, Options{Parallel: 2}, func(t *testing.T, s *Scheduler, l *log) {
		for i := range 5 {
			s.Set(fmt.Sprint(i), Target{Start: time.Now(), Deliver: l.add, Probes: []Probe{
				{Kind: Liveness, Prober: takes(time.Second, Success), Period: time.Minute},
			}})
		}
		s.Remove("4")
		time.Sleep(30 * time.Second)
		l.check(t, "0s Liveness success", "0s Liveness success", "1s Liveness success", "1s Liveness success")
	})
}

func TestErrorsDoNotCount(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Scheduler, l *log) {
		calls := 0
		s.Set("a", Target{Start: time.Now(), Deliver: func(e Event) {
			if e.Err == nil || e.Decided || e.Result != Good {
				t.Errorf("%+v", e)
			}
			if reason, text := e.Report(); reason != "Unhealthy" || text != "Liveness probe errored and resulted in unknown state: no runtime" {
				t.Errorf("%s: %s", reason, text)
			}
		}, Probes: []Probe{{Kind: Liveness, Period: time.Second, FailureThreshold: 1, Prober: Func(func(context.Context) (Outcome, string, error) {
			calls++
			return Unknown, "", errors.New("no runtime")
		})}}})
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if calls != 6 {
			t.Errorf("asked %d times, want 3 for each of 2 probes", calls)
		}
	})
}

func TestEventsOfAProbeComeInOrder(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *Scheduler, _ *log) {
		busy, last := false, time.Time{}
		s.Set("a", Target{Start: time.Now(), Deliver: func(e Event) {
			if busy || !e.At.After(last) {
				t.Error("an event came before the last was taken, or is not newer")
			}
			busy = true
			time.Sleep(3 * time.Second)
			busy, last = false, e.At
		}, Probes: []Probe{{Kind: Readiness, Period: time.Second, Prober: answers(Success, Failure, Success)}}})
		time.Sleep(time.Minute)
	})
}

func TestCloseWaitsAndIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewScheduler(Options{})
		l := newLog()
		s.Set("a", Target{Start: time.Now(), Deliver: l.add, Probes: []Probe{{Kind: Liveness, Prober: takes(time.Minute, Success)}}})
		time.Sleep(time.Second)
		for range 2 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		s.Set("b", Target{Start: time.Now(), Deliver: l.add, Probes: []Probe{{Kind: Liveness, Prober: answers(Success)}}})
		time.Sleep(time.Minute)
		l.check(t)
	})
}
