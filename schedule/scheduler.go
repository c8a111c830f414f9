package schedule

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// Binder assigns a pod to a node, as POST pods/<name>/binding does. It is called
// for several pods at once.
type Binder interface {
	Bind(ctx context.Context, b *corev1.Binding) error
}

// BindFunc is a function as a Binder.
type BindFunc func(ctx context.Context, b *corev1.Binding) error

// Bind calls f.
func (f BindFunc) Bind(ctx context.Context, b *corev1.Binding) error { return f(ctx, b) }

// StatusWriter stores a pod's status.
type StatusWriter interface {
	UpdateStatus(ctx context.Context, p *corev1.Pod) (*corev1.Pod, error)
}

// Recorder records events, with the signature of client-go's EventRecorder.
type Recorder interface {
	Event(object runtime.Object, eventtype, reason, message string)
}

// Source watches all objects of one kind. A call yields all present ones as
// ADDED, a BOOKMARK with the annotation k8s.io/initial-events-end, and then what
// changes: what the API does for sendInitialEvents. After its last error it is
// called again.
type Source func(ctx context.Context) iter.Seq2[watch.Event, error]

// Options are the parts of a Scheduler.
type Options struct {
	// Pods and Nodes tell what there is. Both are needed.
	Pods, Nodes Source
	// Binder is needed.
	Binder Binder
	// Status gets the condition of pods for which no node is found. Nil: nobody.
	Status StatusWriter
	// Events gets Scheduled and FailedScheduling. Nil: nobody.
	Events Recorder
	// Profile has the plugins. Zero means Default().
	Profile Profile
	// Name is which spec.schedulerName is ours. Empty means default-scheduler.
	Name string
	// Tie draws among n nodes with equal scores. Nil draws at random.
	Tie func(n int) int
	Log logr.Logger
}

// Scheduler finds nodes for pods until it is told to end.
type Scheduler struct {
	o     Options
	cache *Cache
	queue *queue
	// stale has what a source knew before it began anew, until it has told what
	// there is.
	stale map[kindOf]map[string]func()
	// newer has pods that changed while they were being bound.
	newer    map[types.UID]*Pod
	messages chan func()
	binding  sync.WaitGroup
}

type kindOf string

// New returns a scheduler; Run starts it.
func New(o Options) (*Scheduler, error) {
	if o.Pods == nil || o.Nodes == nil || o.Binder == nil {
		return nil, errors.New("new scheduler: Options.Pods, Nodes and Binder are needed")
	}
	if len(o.Profile.Filters) == 0 && len(o.Profile.Scores) == 0 {
		o.Profile = Default()
	}
	if o.Name == "" {
		o.Name = corev1.DefaultSchedulerName
	}
	if o.Tie == nil {
		o.Tie = rand.IntN
	}
	return &Scheduler{
		o: o, cache: NewCache(), queue: newQueue(), messages: make(chan func()),
		stale: map[kindOf]map[string]func(){}, newer: map[types.UID]*Pod{},
	}, nil
}

// Run schedules until ctx ends, returns its error, and leaves nothing running. It
// may be called once.
func (s *Scheduler) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.follow(ctx, "nodes", s.o.Nodes, s.onNode) })
	wg.Go(func() { s.follow(ctx, "pods", s.o.Pods, s.onPod) })
	defer func() {
		wg.Wait()
		s.binding.Wait()
	}()
	for {
		for e := s.queue.pop(time.Now()); e != nil; e = s.queue.pop(time.Now()) {
			s.schedule(ctx, e)
			if !s.drain(ctx) {
				return ctx.Err()
			}
		}
		if !s.wait(ctx) {
			return ctx.Err()
		}
	}
}

// drain takes the messages that are there, so that no decision is older than it
// has to be.
func (s *Scheduler) drain(ctx context.Context) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case do := <-s.messages:
			do()
		default:
			return true
		}
	}
}

// wait takes one message, or waits until a pod may be tried again.
func (s *Scheduler) wait(ctx context.Context) bool {
	var timer <-chan time.Time
	if at := s.queue.wakeAt(); !at.IsZero() {
		t := time.NewTimer(time.Until(at))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
		return false
	case do := <-s.messages:
		do()
	case <-timer:
	}
	return true
}

// schedule decides on one pod and starts to bind it.
func (s *Scheduler) schedule(ctx context.Context, e *entry) {
	d, err := s.o.Profile.Decide(s.cache.Snapshot(), e.pod, s.o.Tie)
	if err != nil {
		s.fail(ctx, e, err)
		return
	}
	s.o.Log.V(2).Info("chose a node", "pod", name(e.pod), "node", d.Node, "score", d.Score, "feasible", d.Feasible)
	s.cache.SetPod(e.pod, d.Node) // assumed: the next decision counts it
	s.binding.Go(func() {
		err := s.o.Binder.Bind(ctx, &corev1.Binding{
			ObjectMeta: metav1Object(e.pod),
			Target:     corev1.ObjectReference{Kind: "Node", Name: d.Node},
		})
		if err == nil {
			s.event(e.pod, corev1.EventTypeNormal, "Scheduled", fmt.Sprintf("Successfully assigned %s to %s", name(e.pod), d.Node))
			return
		}
		s.tell(ctx, func() { s.unassume(ctx, e, d.Node, err) })
	})
}

// unassume is for a pod that could not be bound.
func (s *Scheduler) unassume(ctx context.Context, e *entry, node string, err error) {
	if at, ok := s.cache.pods[e.pod.UID]; !ok || at.pod != e.pod {
		return // meanwhile deleted, or bound by somebody else: the watch knows better
	}
	s.cache.DeletePod(e.pod.UID)
	if p, ok := s.newer[e.pod.UID]; ok {
		e.pod = p
	}
	s.queue.wakeAll(time.Now())
	s.fail(ctx, e, fmt.Errorf("bind %s to %s: %w", name(e.pod), node, err))
}

// fail brings a pod back to the queue and tells why.
func (s *Scheduler) fail(ctx context.Context, e *entry, err error) {
	s.o.Log.V(1).Info("could not schedule", "pod", name(e.pod), "err", err.Error())
	noFit := IsFitError(err)
	s.queue.failed(time.Now(), e, noFit)
	reason := "Unschedulable"
	if !noFit {
		reason = "SchedulerError"
	}
	p, changed := withCondition(e.pod.Pod, reason, err.Error(), time.Now())
	s.binding.Go(func() {
		s.event(e.pod, corev1.EventTypeWarning, "FailedScheduling", err.Error())
		if s.o.Status == nil || !changed {
			return
		}
		if _, err := s.o.Status.UpdateStatus(ctx, p); err != nil {
			s.o.Log.V(1).Info("could not write the condition", "pod", name(e.pod), "err", err.Error())
		}
	})
}

func (s *Scheduler) event(p *Pod, eventtype, reason, message string) {
	if s.o.Events != nil {
		s.o.Events.Event(p.Pod, eventtype, reason, message)
	}
}

// tell has do called by Run's goroutine.
func (s *Scheduler) tell(ctx context.Context, do func()) bool {
	select {
	case s.messages <- do:
		return true
	case <-ctx.Done():
		return false
	}
}
