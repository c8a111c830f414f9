package lifecycletest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/exec"
)

// ExecSync answers as the script says. A timeout is DeadlineExceeded; the
// container's end kills the command, which then has exit code 137.
func (r *Runtime) ExecSync(ctx context.Context, id string, cmd []string, timeout time.Duration) (stdout, stderr []byte, err error) {
	words := strings.Join(cmd, " ")
	r.mu.Lock()
	c := r.containers[id]
	if c == nil {
		r.mu.Unlock()
		return nil, nil, notFound("container", id)
	}
	answer := nth(c.script.Exec[words], r.next("exec/"+c.config.GetMetadata().GetName()+"/"+words))
	state, exited := c.state, c.exited
	r.mu.Unlock()
	if state != runtimeapi.ContainerState_CONTAINER_RUNNING {
		return nil, nil, status.Errorf(codes.Unknown, "container %q is not running", id)
	}
	if answer.Err != "" {
		return nil, nil, status.Error(codes.Unknown, answer.Err)
	}
	if err := wait(ctx, time.Duration(answer.For), timeout, exited); err != nil {
		if status.Code(err) == codes.DeadlineExceeded {
			err = status.Errorf(codes.DeadlineExceeded, "failed to exec in container: timeout %s exceeded", timeout)
		}
		return nil, nil, err
	}
	select {
	case <-exited:
		return nil, nil, exitError(cmd, 137)
	default:
	}
	if answer.Exit != 0 {
		return []byte(answer.Out), nil, exitError(cmd, answer.Exit)
	}
	return []byte(answer.Out), nil, nil
}

// exitError has the text of the CRI client, which ends with what was said on
// stderr: scripts say everything on stdout.
func exitError(cmd []string, code int) error {
	return exec.CodeExitError{Err: fmt.Errorf("command '%s' exited with %d: ", strings.Join(cmd, " "), code), Code: code}
}

// wait passes d, unless the timeout (zero: none), the container's end or ctx
// come first.
func wait(ctx context.Context, d, timeout time.Duration, exited <-chan struct{}) error {
	if d == 0 {
		return nil
	}
	late := make(<-chan time.Time)
	if timeout > 0 {
		late = time.After(timeout)
	}
	select {
	case <-time.After(d):
		return nil
	case <-exited:
		return nil
	case <-late:
		return status.Error(codes.DeadlineExceeded, "timed out")
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}
