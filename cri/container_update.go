package cri

import (
	"context"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/cri/ocispec"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// UpdateContainerResources changes the limits that res names, now if the
// container has not ended. After an error the old ones hold and are shown.
func (r *Runtime) UpdateContainerResources(ctx context.Context, id string, res *runtimeapi.ContainerResources) error {
	if res.GetWindows() != nil {
		return fieldError("windows", noWindows)
	}
	unlock, err := r.ops.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := r.container(id)
	if err != nil {
		return err
	}
	limits, err := ocispec.Resources(res.GetLinux(), r.host)
	if err != nil {
		return wrap(err, "update container %s", id)
	}
	st, err := r.state(ctx, c)
	if err != nil {
		return err
	}
	if st.Status != container.Stopped {
		rt, err := r.runtime(c.Handler)
		if err != nil {
			return err
		}
		u, ok := rt.(container.Updater)
		if !ok {
			return errorf(codes.Unimplemented, "update container %s: its runtime cannot change limits", id)
		}
		if err := u.Update(ctx, id, limits); err != nil {
			return wrap(err, "update container %s", id)
		}
	}
	with := *c
	with.Resources = ocispec.Merge(c.Resources, res.GetLinux())
	return wrap(r.containers.put(&with), "update container %s", id)
}

// ReopenContainerLog opens the log file again after its rotation.
func (r *Runtime) ReopenContainerLog(ctx context.Context, id string) error {
	c, err := r.container(id)
	if err != nil {
		return err
	}
	st, err := r.state(ctx, c)
	if err != nil {
		return err
	}
	if st.Status != container.Running {
		return errorf(codes.FailedPrecondition, "reopen log: container %s is not running", id)
	}
	rt, err := r.runtime(c.Handler)
	if err != nil {
		return err
	}
	o, ok := rt.(container.LogReopener)
	if !ok {
		return errorf(codes.Unimplemented, "reopen log of container %s: its runtime cannot", id)
	}
	return wrap(o.ReopenLog(ctx, id), "reopen log of container %s", id)
}
