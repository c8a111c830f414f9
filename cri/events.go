package cri

import (
	"context"
	"time"

	"github.com/lifepod/lifepod/container"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// tell publishes a hint.
func (r *Runtime) tell(_ context.Context, id, sandboxID string, kind runtimeapi.ContainerEventType) {
	r.events.publish(hint{id, sandboxID, kind, time.Now()})
}

// listen turns the ends of containers into hints until ctx ends. What a
// runtime's own operations do is told by the method that did it.
func (r *Runtime) listen(ctx context.Context, handler string, rt container.Runtime) {
	const least, most = 100 * time.Millisecond, time.Minute
	wait := least
	for ctx.Err() == nil {
		for e, err := range rt.Events(ctx) {
			if err != nil {
				r.o.Log.V(1).Info("the container runtime's events ended", "handler", handler, "err", err)
				break
			}
			wait = least
			r.heard(ctx, handler, e)
		}
		if ctx.Err() != nil {
			return
		}
		r.lookAtAll(ctx, handler)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
			wait = min(2*wait, most)
		}
	}
}

func (r *Runtime) heard(ctx context.Context, handler string, e container.Event) {
	switch e.Kind {
	case container.EventLost:
		r.lookAtAll(ctx, handler)
	case container.EventStopped:
		if c, err := r.containers.get(e.ID); err == nil {
			r.tell(ctx, c.ID, c.Sandbox, runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT)
		} else if s, err := r.sandboxOfHolder(e.ID); err == nil {
			r.tell(ctx, s.ID, s.ID, runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT)
		}
	}
}

// lookAtAll hints at every container, after events were lost.
func (r *Runtime) lookAtAll(ctx context.Context, handler string) {
	cs, err := r.listContainers(ctx, func(c *ctr) bool { return c.Handler == handler })
	if err != nil {
		r.o.Log.Error(err, "list containers after lost events", "handler", handler)
	}
	kinds := map[runtimeapi.ContainerState]runtimeapi.ContainerEventType{
		runtimeapi.ContainerState_CONTAINER_CREATED: runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT,
		runtimeapi.ContainerState_CONTAINER_RUNNING: runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT,
		runtimeapi.ContainerState_CONTAINER_EXITED:  runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT,
	}
	for _, c := range cs {
		r.tell(ctx, c.rec.ID, c.rec.Sandbox, kinds[criState(c.st)])
	}
}

// GetContainerEvents sends hints to ch until ctx ends, the Runtime is closed, or
// ch is read so slowly that hints would be lost: then it returns Unavailable,
// and the caller lists and calls again. Each hint has the state at the time that
// it is sent. established, if not nil, is called with nil when nothing that
// happens from then on is missed.
func (r *Runtime) GetContainerEvents(ctx context.Context, ch chan *runtimeapi.ContainerEventResponse, established func(runtimeapi.RuntimeService_GetContainerEventsClient)) error {
	hints, leave := r.events.read()
	defer leave()
	if established != nil {
		established(nil)
	}
	for {
		select {
		case <-ctx.Done():
			return wrap(ctx.Err(), "watch containers")
		case h, ok := <-hints:
			if !ok {
				return errorf(codes.Unavailable, "watch containers: events ended, list again")
			}
			select {
			case ch <- r.event(ctx, h):
			case <-ctx.Done():
				return wrap(ctx.Err(), "watch containers")
			}
		}
	}
}

func (r *Runtime) event(ctx context.Context, h hint) *runtimeapi.ContainerEventResponse {
	e := &runtimeapi.ContainerEventResponse{ContainerId: h.id, ContainerEventType: h.kind, CreatedAt: h.at.UnixNano()}
	s, err := r.sandbox(h.sandbox)
	if err != nil {
		return e
	}
	e.PodSandboxStatus = r.sandboxStatus(ctx, s)
	e.ContainersStatuses, _ = r.statuses(ctx, s.ID) // a hint without them is still one
	return e
}
