package grpcprobe_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/lifepod/lifepod/probe"
	"github.com/lifepod/lifepod/probe/grpcprobe"
	"github.com/lifepod/lifepod/probe/probetest"
)

type server struct {
	health.UnimplementedHealthServer
	check func(ctx context.Context, service string) (health.HealthCheckResponse_ServingStatus, error)
}

func (s server) Check(ctx context.Context, r *health.HealthCheckRequest) (*health.HealthCheckResponse, error) {
	st, err := s.check(ctx, r.GetService())
	return &health.HealthCheckResponse{Status: st}, err
}

func check(ctx context.Context, service string) (health.HealthCheckResponse_ServingStatus, error) {
	switch service {
	case "sick":
		return health.HealthCheckResponse_NOT_SERVING, nil
	case "slow":
		<-ctx.Done()
		return 0, ctx.Err()
	case "unknown":
		return 0, status.Error(codes.NotFound, "unknown service")
	case "agent":
		md, _ := metadata.FromIncomingContext(ctx)
		if ua := strings.Join(md.Get("user-agent"), ""); !strings.HasPrefix(ua, "kube-probe/1.37") {
			return 0, status.Error(codes.Internal, ua)
		}
	}
	return health.HealthCheckResponse_SERVING, nil
}

func listen(t testing.TB, register func(*grpc.Server)) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	register(s)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return l.Addr().(*net.TCPAddr).Port
}

func serve(t testing.TB) int {
	return listen(t, func(s *grpc.Server) { health.RegisterHealthServer(s, server{check: check}) })
}

func TestTexts(t *testing.T) {
	port, bare := serve(t), listen(t, func(*grpc.Server) {})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().(*net.TCPAddr).Port
	l.Close()
	const short = 200 * time.Millisecond
	for name, c := range map[string]struct {
		p       grpcprobe.Prober
		outcome probe.Outcome
		message string
	}{
		"serving":    {grpcprobe.Prober{Port: port}, probe.Success, "service healthy"},
		"user agent": {grpcprobe.Prober{Port: port, Service: "agent"}, probe.Success, "service healthy"},
		"sick":       {grpcprobe.Prober{Port: port, Service: "sick"}, probe.Failure, `service unhealthy (responded with "NOT_SERVING")`},
		"slow":       {grpcprobe.Prober{Port: port, Service: "slow", Timeout: short}, probe.Failure, "timeout: health rpc did not complete within 200ms"},
		"not found":  {grpcprobe.Prober{Port: port, Service: "unknown"}, probe.Failure, "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service"},
		"no health": {grpcprobe.Prober{Port: bare}, probe.Failure,
			"error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown service grpc.health.v1.Health"},
		"refused": {grpcprobe.Prober{Port: closed, Timeout: short}, probe.Failure,
			fmt.Sprintf(`timeout: failed to connect service "127.0.0.1:%d" within 200ms: context deadline exceeded`, closed)},
	} {
		c.p.Host = "127.0.0.1"
		if out, msg, err := c.p.Probe(t.Context()); out != c.outcome || msg != c.message || err != nil {
			t.Errorf("%s: got %s %q %v, want %s %q", name, out, msg, err, c.outcome, c.message)
		}
	}
}

func TestSuite(t *testing.T) {
	port := serve(t)
	ask := func(service string, d time.Duration) func(*testing.T) probe.Prober {
		return func(*testing.T) probe.Prober {
			return grpcprobe.Prober{Host: "127.0.0.1", Port: port, Service: service, Timeout: d}
		}
	}
	probetest.Run(t, probetest.Probers{
		Good: ask("", 0), Bad: ask("sick", 0), Silent: ask("slow", 100*time.Millisecond), Endless: ask("slow", time.Hour),
	})
}
