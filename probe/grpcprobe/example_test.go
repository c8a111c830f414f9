package grpcprobe_test

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	health "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lifepod/lifepod/probe/grpcprobe"
)

func Example() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	s := grpc.NewServer()
	health.RegisterHealthServer(s, server{check: check})
	go s.Serve(l)
	defer s.Stop()

	p := grpcprobe.Prober{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
	fmt.Println(p.Probe(context.Background()))
	p.Service = "sick"
	fmt.Println(p.Probe(context.Background()))
	// Output:
	// success service healthy <nil>
	// failure service unhealthy (responded with "NOT_SERVING") <nil>
}
