package lifecycletest

import (
	"context"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// reader is one stream of events. Its queue is not bounded: a fake that lost
// events would test something else.
type reader struct {
	queue []*runtimeapi.ContainerEventResponse
	wake  chan struct{}
}

// tell queues an event for every reader. The caller holds the lock.
func (r *Runtime) tell(pod, id string, kind runtimeapi.ContainerEventType) {
	e := &runtimeapi.ContainerEventResponse{
		ContainerId: id, ContainerEventType: kind, CreatedAt: time.Now().UnixNano(),
		PodSandboxStatus: &runtimeapi.PodSandboxStatus{Metadata: &runtimeapi.PodSandboxMetadata{Uid: pod}},
	}
	for rd := range r.readers {
		rd.queue = append(rd.queue, e)
		select {
		case rd.wake <- struct{}{}:
		default:
		}
	}
}

// GetContainerEvents sends hints until ctx ends.
func (r *Runtime) GetContainerEvents(ctx context.Context, ch chan *runtimeapi.ContainerEventResponse, connected func(runtimeapi.RuntimeService_GetContainerEventsClient)) error {
	rd := &reader{wake: make(chan struct{}, 1)}
	r.mu.Lock()
	if r.readers == nil {
		r.readers = map[*reader]bool{}
	}
	r.readers[rd] = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.readers, rd)
	}()
	if connected != nil {
		connected(nil)
	}
	for {
		r.mu.Lock()
		queue := rd.queue
		rd.queue = nil
		r.mu.Unlock()
		for _, e := range queue {
			select {
			case ch <- e:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		select {
		case <-rd.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
