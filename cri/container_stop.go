package cri

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/lifepod/lifepod/container"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// StartContainer executes the program. If that fails, the container has exited
// with code 128 and the reason StartError.
func (r *Runtime) StartContainer(ctx context.Context, id string) (err error) {
	ctx, end := span(ctx, spanStart)
	defer end(&err)
	unlock, err := r.ops.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := r.container(id)
	if err != nil {
		return err
	}
	if _, err := r.liveSandbox(ctx, c.Sandbox); err != nil {
		return wrap(err, "start container %s", id)
	}
	rt, err := r.runtime(c.Handler)
	if err != nil {
		return err
	}
	if c.Boot != r.boot {
		return r.wrongState(ctx, c)
	}
	if err = rt.Start(ctx, id); errors.Is(err, container.ErrState) || errors.Is(err, container.ErrNotFound) {
		return r.wrongState(ctx, c)
	}
	var failed *container.StartError
	if errors.As(err, &failed) {
		with := *c
		with.StartError = failed.Err.Error()
		err = errors.Join(err, r.containers.put(&with))
	}
	if err != nil {
		return wrap(err, "") // it names the container
	}
	r.tell(ctx, id, c.Sandbox, runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT)
	return nil
}

// wrongState says why a container cannot be started.
func (r *Runtime) wrongState(ctx context.Context, c *ctr) error {
	st, err := r.state(ctx, c)
	if err != nil {
		return err
	}
	return wrap(container.ErrState, "start container %s: it is in %s state", c.ID, criState(st))
}

// StopContainer sends the stop signal, waits up to timeout seconds for the end,
// then kills. A second call does not send the signal again, and the shorter of
// their timeouts counts. Stopping one that is not running is not an error.
func (r *Runtime) StopContainer(ctx context.Context, id string, timeout int64) (err error) {
	ctx, end := span(ctx, spanStop)
	defer end(&err)
	c, err := r.container(id)
	if err != nil {
		return nil
	}
	st, err := r.state(ctx, c)
	if err != nil && codeOf(err) != codes.NotFound {
		return err
	}
	if st.Status != container.Running {
		return nil
	}
	if timeout > 0 {
		if err := r.signalStop(ctx, c); err != nil {
			return err
		}
		grace, cancel := context.WithTimeout(ctx, seconds(timeout))
		err := r.waitStopped(grace, c)
		cancel()
		if err == nil || ctx.Err() != nil {
			return wrap(err, "stop container %s", id)
		}
	}
	return r.kill(ctx, c)
}

// seconds is a duration that does not overflow.
func seconds(n int64) time.Duration {
	return time.Duration(min(n, int64(24*365*time.Hour/time.Second))) * time.Second
}

func (r *Runtime) signalStop(ctx context.Context, c *ctr) error {
	sig := sigterm
	if c.StopSignal != "" {
		var err error
		if sig, err = parseSignal(c.StopSignal); err != nil {
			return wrap(err, "stop container %s: parse stop signal %q", c.ID, c.StopSignal)
		}
	}
	return wrap(r.stops.once(ctx, c.ID, func(ctx context.Context) error { return r.signal(ctx, c, sig) }), "stop container %s", c.ID)
}

// signal takes a container that is gone for one that has stopped.
func (r *Runtime) signal(ctx context.Context, c *ctr, sig os.Signal) error {
	rt, err := r.runtime(c.Handler)
	if err != nil {
		return err
	}
	err = rt.Signal(ctx, c.ID, sig)
	if errors.Is(err, container.ErrNotFound) {
		return nil
	}
	return err
}

// kill ends a container at once, created or running.
func (r *Runtime) kill(ctx context.Context, c *ctr) error {
	st, err := r.state(ctx, c)
	if st.Status == container.Stopped || codeOf(err) == codes.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if err := r.signal(ctx, c, sigkill); err != nil {
		return wrap(err, "kill container %s", c.ID)
	}
	return wrap(r.waitStopped(ctx, c), "kill container %s", c.ID)
}

// recheck is how often a wait for an end that was asked for looks for itself.
// Ends come as events; but a runtime may lose one, and this must not hang.
const recheck = time.Second

// waitStopped returns when the container has stopped, or ctx's error.
func (r *Runtime) waitStopped(ctx context.Context, c *ctr) error {
	hint, leave := r.events.watch(c.ID)
	defer leave()
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		st, err := r.state(ctx, c)
		if st.Status == container.Stopped || codeOf(err) == codes.NotFound {
			return nil // NotFound: another removed it meanwhile
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-hint:
		case <-tick.C:
		}
	}
}

// RemoveContainer removes a container, and kills it first if it runs. Its log
// stays. Removing an unknown container is not an error.
func (r *Runtime) RemoveContainer(ctx context.Context, id string) (err error) {
	ctx, end := span(ctx, spanRemove)
	defer end(&err)
	unlock, err := r.ops.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := r.containers.get(id)
	if err != nil || c.Phase == making {
		return nil
	}
	if err := r.discard(ctx, c); err != nil {
		return wrap(err, "remove container %s", id)
	}
	r.stops.forget(id)
	r.tell(ctx, id, c.Sandbox, runtimeapi.ContainerEventType_CONTAINER_DELETED_EVENT)
	return nil
}
