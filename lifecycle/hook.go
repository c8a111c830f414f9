package lifecycle

import (
	"context"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/plan"
	"github.com/lifepod/lifepod/probe"
)

// hookForever bounds an HTTP hook that has no bound of its own: the grace
// period, or the deletion that cancels it, comes first.
const hookForever = 24 * time.Hour

func (w *worker) postStart(ctx context.Context, a plan.RunPostStart) error {
	c := w.spec(a.Name)
	if c == nil || c.Lifecycle == nil || c.Lifecycle.PostStart == nil {
		return nil
	}
	return w.hook(ctx, c, a.ContainerID, c.Lifecycle.PostStart)
}

func (w *worker) preStop(ctx context.Context, a plan.RunPreStop) error {
	c := w.spec(a.Name)
	if c == nil || c.Lifecycle == nil || c.Lifecycle.PreStop == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	return w.hook(ctx, c, a.ContainerID, c.Lifecycle.PreStop)
}

// hook runs one lifecycle handler to its end. Cancelling ctx abandons it. The
// texts of its errors are Kubernetes'.
func (w *worker) hook(ctx context.Context, c *corev1.Container, id string, h *corev1.LifecycleHandler) error {
	switch {
	case h.Exec != nil:
		stdout, stderr, err := w.r.Runtime.ExecSync(ctx, id, h.Exec.Command, 0)
		if err != nil {
			return fmt.Errorf("Exec lifecycle hook (%v) for Container %q in Pod %q failed - error: %w, message: %q", //nolint:staticcheck // Kubernetes' text
				h.Exec.Command, c.Name, w.longName(), err, string(stdout)+string(stderr))
		}
		return nil
	case h.HTTPGet != nil:
		if err := w.httpHook(ctx, c, h.HTTPGet); err != nil {
			return fmt.Errorf("HTTP lifecycle hook (%s) for Container %q in Pod %q failed - error: %w", //nolint:staticcheck // Kubernetes' text
				h.HTTPGet.Path, c.Name, w.longName(), err)
		}
		return nil
	case h.Sleep != nil:
		select {
		case <-time.After(time.Duration(h.Sleep.Seconds) * time.Second):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("invalid handler: %v", h)
}

func (w *worker) httpHook(ctx context.Context, c *corev1.Container, get *corev1.HTTPGetAction) error {
	p, err := w.httpProber(c, get, hookForever)
	if err != nil {
		return err
	}
	if p.Header.Get("User-Agent") == "" {
		p.Header.Set("User-Agent", "kube-lifecycle/1.37")
	}
	return asked(p.Probe(ctx))
}

// asked turns a probe's answer into an error for a hook.
func asked(out probe.Outcome, message string, err error) error {
	if err == nil && out == probe.Failure {
		return fmt.Errorf("%s", message)
	}
	return err
}

// httpProber asks what an httpGet handler names: the pod's address unless it
// names a host, a port by number or by its name in the container.
func (w *worker) httpProber(c *corev1.Container, get *corev1.HTTPGetAction, timeout time.Duration) (probe.HTTP, error) {
	host, err := w.host(get.Host)
	if err != nil {
		return probe.HTTP{}, err
	}
	port, err := portNumber(c, get.Port)
	if err != nil {
		return probe.HTTP{}, err
	}
	header := http.Header{}
	for _, h := range get.HTTPHeaders {
		header.Add(h.Name, h.Value)
	}
	return probe.HTTP{Scheme: string(get.Scheme), Host: host, Port: port, Path: get.Path, Header: header, Timeout: timeout}, nil
}

// host is the handler's own, or the pod's address.
func (w *worker) host(own string) (string, error) {
	if own != "" {
		return own, nil
	}
	if ip := w.podIP(); ip != "" {
		return ip, nil
	}
	return "", fmt.Errorf("failed to find networking container: pod %s has no address yet", w.name())
}
