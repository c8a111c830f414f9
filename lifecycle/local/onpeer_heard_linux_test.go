package local_test

import (
	"context"
	"slices"
	"strings"
	"sync"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/lifecycle"
)

// heard is a runtime whose events are noted on their way.
type heard struct {
	lifecycle.Runtime

	mu     sync.Mutex
	events []*runtimeapi.ContainerEventResponse
	count  streams
}

// streams counts calls of GetContainerEvents.
type streams struct{ begun, over int }

func (h *heard) GetContainerEvents(ctx context.Context, out chan *runtimeapi.ContainerEventResponse, connected func(runtimeapi.RuntimeService_GetContainerEventsClient)) error {
	h.mu.Lock()
	h.count.begun++
	h.mu.Unlock()
	in := make(chan *runtimeapi.ContainerEventResponse)
	var wg sync.WaitGroup
	wg.Go(func() {
		for e := range in {
			h.mu.Lock()
			h.events = append(h.events, e)
			h.mu.Unlock()
			select {
			case out <- e:
			case <-ctx.Done():
			}
		}
	})
	err := h.Runtime.GetContainerEvents(ctx, in, connected)
	close(in)
	wg.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count.over++
	return err
}

func (h *heard) streams() streams {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

func (h *heard) told(kind runtimeapi.ContainerEventType, id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.events, func(e *runtimeapi.ContainerEventResponse) bool {
		return e.GetContainerEventType() == kind && strings.HasSuffix(id, e.GetContainerId())
	})
}

// lines are what a log was given.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, line)
}

func (l *lines) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.text, "\n")
}

func (l *lines) contain(part string) bool { return strings.Contains(l.all(), part) }
