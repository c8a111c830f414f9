package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/exec"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lifepod/lifepod/lifecycle/podspec"
	"github.com/lifepod/lifepod/probe"
	"github.com/lifepod/lifepod/probe/grpcprobe"
)

// prober makes the prober of one probe. A probe that cannot be made (a port
// name that no container has) errs at every try, as in Kubernetes.
func (w *worker) prober(c *corev1.Container, id string, p *corev1.Probe) probe.Prober {
	timeout := time.Duration(max(p.TimeoutSeconds, 1)) * time.Second
	made, err := w.handler(c, id, p, timeout)
	if err != nil {
		return probe.Func(func(context.Context) (probe.Outcome, string, error) { return probe.Unknown, "", err })
	}
	return made
}

func (w *worker) handler(c *corev1.Container, id string, p *corev1.Probe, timeout time.Duration) (probe.Prober, error) {
	switch {
	case p.Exec != nil:
		return probe.Exec{Command: podspec.ExpandStatic(p.Exec.Command, c.Env), Timeout: timeout, Run: w.exec(id)}, nil
	case p.HTTPGet != nil:
		return w.httpProber(c, p.HTTPGet, timeout)
	case p.TCPSocket != nil:
		host, err := w.host(p.TCPSocket.Host)
		if err != nil {
			return nil, err
		}
		port, err := portNumber(c, p.TCPSocket.Port)
		return probe.TCP{Host: host, Port: port, Timeout: timeout}, err
	case p.GRPC != nil:
		host, err := w.host("")
		if err != nil {
			return nil, err
		}
		service := ""
		if p.GRPC.Service != nil {
			service = *p.GRPC.Service
		}
		return grpcprobe.Prober{Host: host, Port: int(p.GRPC.Port), Service: service, Timeout: timeout}, nil
	}
	return nil, fmt.Errorf("missing probe handler for %s:%s", w.name(), c.Name)
}

// exec runs an exec probe's command through the runtime.
func (w *worker) exec(id string) func(context.Context, []string, time.Duration) ([]byte, int, error) {
	return func(ctx context.Context, command []string, timeout time.Duration) ([]byte, int, error) {
		stdout, stderr, err := w.r.Runtime.ExecSync(ctx, id, command, timeout)
		out := append(stdout, stderr...)
		var exit exec.ExitError
		switch {
		case errors.As(err, &exit):
			return out, exit.ExitStatus(), nil
		case status.Code(err) == codes.DeadlineExceeded:
			return out, 0, fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
		}
		return out, 0, err
	}
}

// portNumber resolves a port that is given as a number or as the name of one of
// the container's ports.
func portNumber(c *corev1.Container, p intstr.IntOrString) (int, error) {
	n := p.IntValue()
	if p.Type == intstr.String {
		for _, named := range c.Ports {
			if named.Name == p.StrVal {
				n = int(named.ContainerPort)
			}
		}
	}
	if n < 1 || n > 65535 {
		return 0, fmt.Errorf("invalid port: %v", p.String())
	}
	return n, nil
}
