package cri

import (
	"context"
	"errors"

	"github.com/lifepod/lifepod/netns"
	"golang.org/x/sync/errgroup"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// StopPodSandbox kills the pod's containers and takes its network down; they
// stay listed. Stopping a stopped or unknown sandbox is not an error.
func (r *Runtime) StopPodSandbox(ctx context.Context, id string) (err error) {
	ctx, end := span(ctx, spanStop)
	defer end(&err)
	unlock, err := r.ops.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	return r.stopSandbox(ctx, id, false)
}

// stopSandbox is StopPodSandbox with the lock held. It can remove the containers
// while the network is taken down.
func (r *Runtime) stopSandbox(ctx context.Context, id string, remove bool) error {
	s, err := r.sandbox(id)
	if err != nil {
		return nil //nolint:nilerr // an absent one is the answer
	}
	down := *s
	down.Phase = stopped
	was := s.Phase
	if was != stopped { // from here on no container can be created in it
		if err := r.sandboxes.put(&down); err != nil {
			return wrap(err, "stop sandbox %s", id)
		}
	}
	cs, err := r.containersOf(id)
	if err != nil {
		return err
	}
	g := errgroup.Group{}
	for _, c := range cs {
		g.Go(func() error { return r.kill(ctx, c) })
	}
	if err := g.Wait(); err != nil {
		return wrap(err, "stop sandbox %s", id)
	}
	g = errgroup.Group{}
	g.Go(func() error { return r.tearDown(ctx, &down) })
	if remove {
		for _, c := range cs {
			g.Go(func() error { return r.RemoveContainer(ctx, c.ID) })
		}
	}
	if err := g.Wait(); err != nil {
		return wrap(err, "stop sandbox %s", id)
	}
	if was != stopped {
		r.tell(ctx, id, id, runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT)
	}
	return nil
}

// tearDown takes down all that a sandbox has but its record and its containers,
// as far as it is there.
func (r *Runtime) tearDown(ctx context.Context, s *sandbox) error {
	if err := r.dropHolder(ctx, s); err != nil {
		return err
	}
	if kindsOf(s.Config)&netns.Net != 0 {
		a, err := attachment(s, netns.Paths(r.nsDir(s.ID), netns.Net).Net)
		if err != nil {
			return err
		}
		// The namespace must still be there: some networks find their way by it.
		if err := r.o.Network.Teardown(ctx, a); err != nil {
			return wrap(err, "take down network")
		}
	}
	return errors.Join(
		wrap(r.o.Namespaces.Remove(r.nsDir(s.ID)), "remove namespaces"),
		wrap(r.machine.unmount(r.sandboxes.path(s.ID, dirShm)), "remove the pod's /dev/shm"),
	)
}

// removeCgroup removes a parent that was made here.
func (r *Runtime) removeCgroup(ctx context.Context, s *sandbox) error {
	if !s.OwnCgroup || r.o.Cgroups == nil {
		return nil
	}
	return wrap(r.o.Cgroups.Remove(ctx, s.Cgroup), "remove the sandbox's cgroup")
}

// RemovePodSandbox stops the sandbox and removes it with its containers.
// Removing an unknown sandbox is not an error.
func (r *Runtime) RemovePodSandbox(ctx context.Context, id string) (err error) {
	ctx, end := span(ctx, spanRemove)
	defer end(&err)
	unlock, err := r.ops.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := r.sandbox(id)
	if err != nil {
		return nil
	}
	if err := r.stopSandbox(ctx, id, true); err != nil {
		return err
	}
	if err := r.removeCgroup(ctx, s); err != nil {
		return wrap(err, "remove sandbox %s", id)
	}
	if err := r.forget(s); err != nil {
		return wrap(err, "remove sandbox %s", id)
	}
	r.attend(s.Handler)
	r.tell(ctx, id, id, runtimeapi.ContainerEventType_CONTAINER_DELETED_EVENT)
	return nil
}

// forget frees the name and removes the record, in this order: a name whose
// owner has no directory is free for others.
func (r *Runtime) forget(s *sandbox) error {
	if err := r.names.release(s.Name, s.ID); err != nil {
		return err
	}
	return r.sandboxes.remove(s.ID, dirShm)
}
