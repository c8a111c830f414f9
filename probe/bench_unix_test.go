//go:build unix

package probe_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
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

const serverEnv = "PROBE_BENCH_SERVER"

// TestMain lets the benchmarks run this binary as their targets, so that only
// the probing side's processor time counts.
func TestMain(m *testing.M) {
	if kind := os.Getenv(serverEnv); kind != "" {
		targets(kind)
		return
	}
	os.Exit(m.Run())
}

// targets listens on a hundred ports and prints them; it ends with its stdin.
func targets(kind string) {
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		fmt.Println(l.Addr().(*net.TCPAddr).Port)
		if kind == "http" {
			srv := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ReadHeaderTimeout: time.Second}
			go srv.Serve(l)
			continue
		}
		go accept(l)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		c.Close()
	}
}

func serve(b *testing.B, kind string) (port func(i int) int) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverEnv+"="+kind)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
	})
	ports := make([]int, 100)
	for i := range ports {
		if _, err := fmt.Fscan(stdout, &ports[i]); err != nil {
			b.Fatal(err)
		}
	}
	return func(i int) int { return ports[i%len(ports)] }
}

// 10,000 tcp probes a second to a hundred targets.
func BenchmarkTCP10000(b *testing.B) {
	port := serve(b, "tcp")
	many(b, 10_000, func(i int) probe.Prober { return probe.TCP{Host: "127.0.0.1", Port: port(i)} })
}

// 10,000 http probes a second to a hundred targets.
func BenchmarkHTTP10000(b *testing.B) {
	port := serve(b, "http")
	many(b, 10_000, func(i int) probe.Prober { return probe.HTTP{Host: "127.0.0.1", Port: port(i), Path: "/"} })
}

func one(b *testing.B, p probe.Prober) {
	used := cpu()
	for b.Loop() {
		if out, msg, err := p.Probe(b.Context()); out != probe.Success {
			b.Fatal(out, msg, err)
		}
	}
	b.ReportMetric(float64((cpu()-used).Microseconds())/float64(b.N), "cpu-us/op")
}

func BenchmarkTCP(b *testing.B) { one(b, probe.TCP{Host: "127.0.0.1", Port: serve(b, "tcp")(0)}) }

func BenchmarkHTTP(b *testing.B) {
	one(b, probe.HTTP{Host: "127.0.0.1", Port: serve(b, "http")(0), Path: "/"})
}
