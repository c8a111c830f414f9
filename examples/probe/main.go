// Command probe asks a web server as Kubernetes would, once by hand and then by
// the scheduler that serves all probes of a node.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"

	"github.com/lifepod/lifepod/probe"
)

func main() {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		log.Fatal(err)
	}
	web := probe.HTTP{Host: host, Port: n, Path: "/healthz"}
	out, message, err := web.Probe(context.Background())
	fmt.Println(out, message, err)

	s := probe.NewScheduler(probe.Options{})
	answers := make(chan probe.Event)
	s.Set("web", probe.Target{
		Start:   time.Now(),
		Probes:  []probe.Probe{{Kind: probe.Liveness, Prober: web, Period: 50 * time.Millisecond, FailureThreshold: 3}},
		Deliver: func(e probe.Event) { answers <- e },
	})
	for e := range answers {
		fmt.Println(e.Kind, e.Outcome, "in a row:", e.Run, "result:", e.Result)
		if e.Result == probe.Bad {
			break
		}
	}
	if err := s.Close(); err != nil {
		log.Fatal(err)
	}
}
