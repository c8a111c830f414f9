package cri

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lifepod/lifepod/container"
	"google.golang.org/grpc/codes"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// tell publishes a hint.
func (r *Runtime) tell(_ context.Context, id, sandboxID string, kind runtimeapi.ContainerEventType) {
	r.events.publish(hint{id, sandboxID, kind, time.Now()})
}

// ear listens to one container runtime while there are sandboxes for it: a
// runtime may need a process to be listened to.
type ear struct {
	handler string
	rt      container.Runtime
	wake    chan struct{}

	mu   sync.Mutex
	stop context.CancelFunc // of the loop under way
}

// rouse makes the ear look whether there is something to listen to.
func (e *ear) rouse() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// rest ends the loop under way. The ear looks again before it sleeps.
func (e *ear) rest() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stop != nil {
		e.stop()
	}
}

func (e *ear) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ctx, e.stop = context.WithCancel(ctx)
	return ctx, e.stop
}

// attend is called after a sandbox came or went.
func (r *Runtime) attend(handler string) {
	e := r.ears[handler]
	if e == nil {
		return
	}
	if r.busy(handler) {
		e.rouse()
	} else {
		e.rest()
	}
}

func (r *Runtime) busy(handler string) bool {
	all, err := r.sandboxes.all()
	return err != nil || slices.ContainsFunc(all, func(s *sandbox) bool { return s.Handler == handler })
}

// listen turns the ends of containers into hints until ctx ends. What a
// runtime's own operations do is told by the method that did it.
func (r *Runtime) listen(ctx context.Context, e *ear) {
	const least, most = 100 * time.Millisecond, time.Minute
	wait := least
	for ctx.Err() == nil {
		if !r.busy(e.handler) {
			wait = least
			select {
			case <-ctx.Done():
			case <-e.wake:
			}
			continue
		}
		if r.listenOnce(ctx, e) {
			wait = least
		}
		if ctx.Err() != nil || !r.busy(e.handler) {
			continue
		}
		r.lookAtAll(ctx, e.handler)
		select { // the runtime ended the loop: not at once again
		case <-ctx.Done():
		case <-time.After(wait):
			wait = min(2*wait, most)
		}
	}
}

// listenOnce is one loop over events; it says whether there were any.
func (r *Runtime) listenOnce(ctx context.Context, e *ear) (heard bool) {
	ctx, cancel := e.begin(ctx)
	var wg sync.WaitGroup
	defer func() { cancel(); wg.Wait() }()
	wg.Go(func() { // a container may have ended before the runtime took our name down
		select {
		case <-ctx.Done():
		case <-time.After(recheck):
			r.lookAtAll(ctx, e.handler)
		}
	})
	for ev, err := range e.rt.Events(ctx) {
		if err != nil {
			r.o.Log.V(1).Info("the container runtime's events ended", "handler", e.handler, "err", err)
			return heard
		}
		heard = true
		r.heard(ctx, e.handler, ev)
	}
	return heard
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
