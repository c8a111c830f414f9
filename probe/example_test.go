package probe_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"time"

	"github.com/lifepod/lifepod/probe"
)

func Example() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ready") }))
	defer srv.Close()
	u, _ := url.Parse(srv.URL)
	port, _ := strconv.Atoi(u.Port())

	s := probe.NewScheduler(probe.Options{})
	defer s.Close()
	events := make(chan probe.Event)
	s.Set("web", probe.Target{
		Start:   time.Now(),
		Deliver: func(e probe.Event) { events <- e },
		Probes:  []probe.Probe{{Kind: probe.Readiness, Period: time.Hour, Prober: probe.HTTP{Host: u.Hostname(), Port: port}}},
	})
	e := <-events
	fmt.Println(e.Kind, e.Outcome, e.Message, "changed:", e.Changed, "now:", e.Result)
	// Output: Readiness success ready changed: true now: Success
}

func ExampleTracker() {
	t := probe.NewTracker(probe.Liveness, 1, 2, probe.NoResult)
	for _, o := range []probe.Outcome{probe.Failure, probe.Success, probe.Failure, probe.Failure} {
		t, _ = t.Add(o)
		fmt.Println(o, "->", t.Result(), "done:", t.Done())
	}
	// Output:
	// failure -> Success done: false
	// success -> Success done: false
	// failure -> Success done: false
	// failure -> Failure done: true
}

func ExampleFunc() {
	p := probe.Func(func(context.Context) (probe.Outcome, string, error) { return probe.Failure, "still loading", nil })
	fmt.Println(probe.Run(context.Background(), p))
	// Output: failure still loading <nil>
}
