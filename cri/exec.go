package cri

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lifepod/lifepod/container"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	utilexec "k8s.io/utils/exec"
)

// maxOutput bounds each of an ExecSync's outputs; the rest is discarded.
const maxOutput = 16 << 20

// ExecSync runs a command in a running container. An exit code other than zero
// is a utilexec.CodeExitError beside the output, the end of a timeout (zero
// means none) DeadlineExceeded; the process is then killed.
func (r *Runtime) ExecSync(ctx context.Context, id string, cmd []string, timeout time.Duration) (stdout, stderr []byte, err error) {
	rt, err := r.running(ctx, id, "exec in")
	if err != nil {
		return nil, nil, err
	}
	if len(cmd) == 0 {
		return nil, nil, fieldError("cmd", "must not be empty")
	}
	if timeout > 0 {
		// CRI counts in seconds: less than one would be none.
		timeout = (timeout + time.Second - 1).Truncate(time.Second)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	var out, errs capped
	code, err := rt.Exec(ctx, id, container.Exec{Args: cmd, Stdout: &out, Stderr: &errs})
	stdout, stderr = out.b.Bytes(), errs.b.Bytes()
	switch {
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return stdout, stderr, &Error{codes.DeadlineExceeded, fmt.Sprintf("exec in container %s: command %q timed out after %s", id, strings.Join(cmd, " "), timeout), ctx.Err()}
	case err != nil:
		return stdout, stderr, wrap(err, "exec in container %s", id)
	case code != 0:
		return stdout, stderr, utilexec.CodeExitError{Err: fmt.Errorf("command '%s' exited with %d: %s", strings.Join(cmd, " "), code, stderr), Code: code}
	}
	return stdout, stderr, nil
}

// capped keeps the first maxOutput bytes.
type capped struct{ b bytes.Buffer }

func (c *capped) Write(p []byte) (int, error) {
	c.b.Write(p[:min(len(p), maxOutput-c.b.Len())])
	return len(p), nil
}

// running finds the runtime of a container that runs.
func (r *Runtime) running(ctx context.Context, id, verb string) (container.Runtime, error) {
	c, err := r.container(id)
	if err != nil {
		return nil, err
	}
	st, err := r.state(ctx, c)
	if err != nil {
		return nil, err
	}
	if st.Status != container.Running {
		return nil, errorf(codes.FailedPrecondition, "%s container %s: container is in %s state", verb, id, criState(st))
	}
	return r.runtime(c.Handler)
}

// The methods that answer with a URL need a server, which a runtime in the same
// process has not: use ExecStream, AttachStream and PortForwardStream.

// Exec is Unimplemented.
func (r *Runtime) Exec(context.Context, *runtimeapi.ExecRequest) (*runtimeapi.ExecResponse, error) {
	return nil, noURL("Exec")
}

// Attach is Unimplemented.
func (r *Runtime) Attach(context.Context, *runtimeapi.AttachRequest) (*runtimeapi.AttachResponse, error) {
	return nil, noURL("Attach")
}

// PortForward is Unimplemented.
func (r *Runtime) PortForward(context.Context, *runtimeapi.PortForwardRequest) (*runtimeapi.PortForwardResponse, error) {
	return nil, noURL("PortForward")
}

func noURL(method string) error {
	return errorf(codes.Unimplemented, "%s needs a streaming server, this runtime runs in process: call %sStream", method, method)
}

func unimplemented(what string) error {
	return errorf(codes.Unimplemented, "%s is not implemented", what)
}

// CheckpointContainer is Unimplemented.
func (r *Runtime) CheckpointContainer(context.Context, *runtimeapi.CheckpointContainerRequest) error {
	return unimplemented("CheckpointContainer")
}

// CheckpointPod is Unimplemented.
func (r *Runtime) CheckpointPod(context.Context, *runtimeapi.CheckpointPodRequest) error {
	return unimplemented("CheckpointPod")
}

// RestorePod is Unimplemented.
func (r *Runtime) RestorePod(context.Context, *runtimeapi.RestorePodRequest) (*runtimeapi.RestorePodResponse, error) {
	return nil, unimplemented("RestorePod")
}

// ListMetricDescriptors is Unimplemented.
func (r *Runtime) ListMetricDescriptors(context.Context) ([]*runtimeapi.MetricDescriptor, error) {
	return nil, unimplemented("ListMetricDescriptors")
}

// ListPodSandboxMetrics is Unimplemented.
func (r *Runtime) ListPodSandboxMetrics(context.Context) ([]*runtimeapi.PodSandboxMetrics, error) {
	return nil, unimplemented("ListPodSandboxMetrics")
}
