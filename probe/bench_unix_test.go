//go:build unix

package probe_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lifepod/lifepod/probe"
)

// cpu is the processor time that this process used so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// lateness collects how late probes began against the grid of their target.
type lateness struct {
	mu   sync.Mutex
	late []time.Duration
}

func (l *lateness) add(start time.Time, period time.Duration) func(probe.Event) {
	return func(e probe.Event) {
		if e.Run == 1 {
			return // all begin at once, off their grid
		}
		d := e.At.Sub(start) % period
		l.mu.Lock()
		l.late = append(l.late, d)
		l.mu.Unlock()
	}
}

func (l *lateness) report(b *testing.B) {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.late)
	if n := len(l.late); n > 0 {
		b.ReportMetric(float64(l.late[n/2].Microseconds())/1000, "ms-late-p50")
		b.ReportMetric(float64(l.late[n*99/100].Microseconds())/1000, "ms-late-p99")
		b.ReportMetric(float64(n), "probes")
	}
}

// many schedules n probes of one second, their starts spread over it, for five
// seconds, and reports the processor time used beside the time that passed.
func many(b *testing.B, n int, prober func(i int) probe.Prober) {
	for b.Loop() {
		s := probe.NewScheduler(probe.Options{})
		var late lateness
		began, used := time.Now(), cpu()
		for i := range n {
			start := began.Add(-time.Duration(i) * time.Second / time.Duration(n))
			s.Set(fmt.Sprint(i), probe.Target{Start: start, Deliver: late.add(start, time.Second), Probes: []probe.Probe{
				{Kind: probe.Readiness, Period: time.Second, Prober: prober(i)},
			}})
		}
		time.Sleep(5 * time.Second)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(cpu()-used)/float64(time.Since(began)), "cores")
		late.report(b)
	}
}

// The scheduler's own share, with probes that cost nothing.
func BenchmarkScheduler10000(b *testing.B) {
	ok := probe.Func(func(context.Context) (probe.Outcome, string, error) { return probe.Success, "", nil })
	many(b, 10_000, func(int) probe.Prober { return ok })
}

// 10,000 tcp probes a second; both ends of every connection count.
func BenchmarkTCP10000(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	many(b, 10_000, func(int) probe.Prober {
		return probe.TCP{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
	})
}

// 10,000 http probes a second; the server runs in the same process and counts.
func BenchmarkHTTP10000(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ReadHeaderTimeout: time.Second}
	go srv.Serve(l)
	defer srv.Close()
	many(b, 10_000, func(int) probe.Prober {
		return probe.HTTP{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Path: "/"}
	})
}
