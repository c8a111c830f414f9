package probetest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/lifepod/lifepod/probe"
	"github.com/lifepod/lifepod/probe/probetest"
)

const (
	short = 50 * time.Millisecond
	long  = time.Hour
)

func fixed(p probe.Prober) func(*testing.T) probe.Prober {
	return func(*testing.T) probe.Prober { return p }
}

func TestFake(t *testing.T) {
	fake := func(a ...probetest.Answer) func(*testing.T) probe.Prober { return fixed(&probetest.Fake{Answers: a}) }
	probetest.Run(t, probetest.Probers{
		Good:    fake(),
		Bad:     fake(probetest.Answer{Outcome: probe.Failure}),
		Silent:  fake(probetest.Answer{Outcome: probe.Failure, Message: "late", After: short}),
		Endless: fake(probetest.Answer{After: long}),
	})
}

func TestHTTP(t *testing.T) {
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bad":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/silent":
			<-stop
		}
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(stop) })
	port := srv.Listener.Addr().(*net.TCPAddr).Port
	path := func(p string, d time.Duration) func(*testing.T) probe.Prober {
		return fixed(probe.HTTP{Host: "127.0.0.1", Port: port, Path: p, Timeout: d})
	}
	probetest.Run(t, probetest.Probers{Good: path("/", 0), Bad: path("/bad", 0), Silent: path("/silent", short), Endless: path("/silent", long)})
}

func TestExec(t *testing.T) {
	run := func(out string, code int, takes time.Duration, limit time.Duration) func(*testing.T) probe.Prober {
		return fixed(probe.Exec{Command: []string{"x"}, Timeout: limit, Run: func(ctx context.Context, _ []string, d time.Duration) ([]byte, int, error) {
			ctx, cancel := context.WithTimeout(ctx, d)
			defer cancel()
			select {
			case <-time.After(takes):
				return []byte(out), code, ctx.Err()
			case <-ctx.Done():
				return nil, 0, ctx.Err()
			}
		}})
	}
	probetest.Run(t, probetest.Probers{Good: run("", 0, 0, long), Bad: run("no", 3, 0, long), Silent: run("", 0, long, short), Endless: run("", 0, long, long)})
}

// A listener whose queue is full answers no connection request.
func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	good := l.Addr().(*net.TCPAddr).Port
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	bad := closed.Addr().(*net.TCPAddr).Port
	closed.Close()
	full := fullQueue(t)
	tcp := func(port int, d time.Duration) func(*testing.T) probe.Prober {
		return fixed(probe.TCP{Host: "127.0.0.1", Port: port, Timeout: d})
	}
	probetest.Run(t, probetest.Probers{Good: tcp(good, 0), Bad: tcp(bad, 0), Silent: tcp(full, short), Endless: tcp(full, long)})
}

func ExampleFake() {
	f := &probetest.Fake{Answers: []probetest.Answer{{Outcome: probe.Failure, Message: "cold"}, {}}}
	for range 3 {
		out, msg, _ := f.Probe(context.Background())
		fmt.Printf("%s %q\n", out, msg)
	}
	_, _, err := (&probetest.Fake{Answers: []probetest.Answer{{Err: errors.New("no runtime")}}}).Probe(context.Background())
	fmt.Println(err)
	// Output:
	// failure "cold"
	// success ""
	// success ""
	// no runtime
}
