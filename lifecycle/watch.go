package lifecycle

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// watch turns the runtime's events into hints until ctx ends. After every break
// all pods are looked at, since events were missed; a runtime that has no events
// is observed by listing.
func (r *Runner) watch(ctx context.Context) {
	said := false
	for ctx.Err() == nil {
		began := time.Now()
		err := r.events(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) < r.RelistPeriod && !said {
			said = true
			r.log.Info("the runtime sends no events: its containers are listed instead", "period", r.RelistPeriod.String(), "cause", err)
		}
		select {
		case <-time.After(r.RelistPeriod):
		case <-ctx.Done():
		}
		r.hintAll()
	}
}

// events reads one stream of events to its end.
func (r *Runner) events(ctx context.Context) error {
	ch := make(chan *runtimeapi.ContainerEventResponse, 64)
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	again := make(chan struct{}, 1)
	r.wg.Go(func() {
		connected := func(c runtimeapi.RuntimeService_GetContainerEventsClient) {
			r.hintAll()
			if c != nil {
				again <- struct{}{}
			}
		}
		ended <- r.Runtime.GetContainerEvents(ctx, ch, connected)
	})
	var late <-chan time.Time
	for {
		select {
		case <-again:
			// Over a connection, the call returns before the runtime has heard of it:
			// what ended in between is in neither the first look nor the stream.
			late = time.After(r.RelistPeriod)
		case <-late:
			r.hintAll()
		case e := <-ch:
			r.hint(e)
		case err := <-ended:
			return err
		}
	}
}

// hint makes the worker of the event's pod look; an event that does not name its
// pod is for all. What an action made is looked at when it ends, and neither before
// nor again.
func (r *Runner) hint(e *runtimeapi.ContainerEventResponse) {
	uid := e.GetPodSandboxStatus().GetMetadata().GetUid()
	if uid == "" {
		r.hintAll()
	} else if w := r.worker(types.UID(uid)); w != nil && !(isNew(e) && w.expects(e.GetContainerId())) {
		w.hint()
	}
}

func isNew(e *runtimeapi.ContainerEventResponse) bool {
	k := e.GetContainerEventType()
	return k == runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT || k == runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT
}

func (r *Runner) hintAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.workers {
		w.hint()
	}
}
