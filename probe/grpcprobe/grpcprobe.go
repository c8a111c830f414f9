// Package grpcprobe asks containers by the gRPC health protocol
// (grpc.health.v1). It is a package of its own so that who does not use it does
// not pay for gRPC.
package grpcprobe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/lifepod/lifepod/probe"
)

// Prober succeeds when the service says that it is SERVING.
type Prober struct {
	// Host is a name or an address, IPv4 or IPv6 without brackets.
	Host string
	Port int
	// Service is the name to ask for. Empty asks for the server as a whole.
	Service string
	// TLS connects with TLS; certificates are not verified.
	TLS bool
	// Timeout of the whole probe. Zero means 1 s.
	Timeout time.Duration
}

var _ probe.Prober = Prober{}

// Probe connects, asks once, and hangs up. Everything but SERVING is a Failure.
func (p Prober) Probe(ctx context.Context) (probe.Outcome, string, error) {
	if p.Timeout <= 0 {
		p.Timeout = time.Second
	}
	within, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	out, message := p.ask(within)
	if at, ok := ctx.Deadline(); out == probe.Failure && ok && !time.Now().Before(at) {
		return probe.Unknown, "", context.DeadlineExceeded
	}
	if ctx.Err() != nil {
		return probe.Unknown, "", ctx.Err()
	}
	return out, message, nil
}

func (p Prober) ask(ctx context.Context) (probe.Outcome, string) {
	addr := net.JoinHostPort(p.Host, strconv.Itoa(p.Port))
	conn, err := p.connect(ctx, addr)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return probe.Failure, fmt.Sprintf("timeout: failed to connect service %q within %v: %+v", addr, p.Timeout, err)
		}
		return probe.Failure, fmt.Sprintf("error: failed to connect service at %q: %+v", addr, err)
	}
	defer conn.Close()
	resp, err := health.NewHealthClient(conn).Check(ctx, &health.HealthCheckRequest{Service: p.Service})
	if err != nil {
		return probe.Failure, p.explain(err)
	}
	if s := resp.GetStatus(); s != health.HealthCheckResponse_SERVING {
		return probe.Failure, fmt.Sprintf("service unhealthy (responded with %q)", s.String())
	}
	return probe.Success, "service healthy"
}

// connect returns only when the connection is ready, and keeps trying until
// then: a refusal is not final while there is time.
func (p Prober) connect(ctx context.Context, addr string) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if p.TLS {
		creds = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	}
	conn, err := grpc.NewClient("passthrough:///"+addr,
		grpc.WithUserAgent("kube-probe/1.37"),
		grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return probe.Dialer().DialContext(ctx, "tcp", addr)
		}))
	if err != nil {
		return nil, err
	}
	conn.Connect()
	for s := conn.GetState(); s != connectivity.Ready; s = conn.GetState() {
		if s == connectivity.Idle {
			conn.Connect()
		}
		if !conn.WaitForStateChange(ctx, s) {
			_ = conn.Close() // nothing was sent on it
			return nil, ctx.Err()
		}
	}
	return conn, nil
}

// explain words the failure of a health request.
func (p Prober) explain(err error) string {
	if s, ok := status.FromError(err); ok {
		switch s.Code() {
		case codes.Unimplemented:
			return "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): " + s.Message()
		case codes.DeadlineExceeded:
			return fmt.Sprintf("timeout: health rpc did not complete within %v", p.Timeout)
		}
	}
	return fmt.Sprintf("error: health rpc probe failed: %+v", err)
}
