package schedule

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/lifepod/lifepod/schedule/framework"
)

// retry is the pause after a source ended with an error that is not 410 Expired.
const retry = time.Second

// follow hands all events of a source to Run's goroutine, again and again.
func (s *Scheduler) follow(ctx context.Context, kind kindOf, source Source, on func(watch.Event)) {
	for ctx.Err() == nil {
		if !s.tell(ctx, func() { s.beginAnew(kind) }) {
			return
		}
		var last error
		for ev, err := range source(ctx) {
			if last = err; err != nil {
				break
			}
			if !s.tell(ctx, func() { s.receive(kind, ev, on) }) {
				return
			}
		}
		if ctx.Err() != nil || apierrors.IsResourceExpired(last) {
			continue
		}
		s.o.Log.V(1).Info("watch ended, beginning anew", "kind", string(kind), "err", last)
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
}

// beginAnew marks all that is known of a kind: what the source does not tell again
// is gone.
func (s *Scheduler) beginAnew(kind kindOf) {
	marked := map[string]func(){}
	switch kind {
	case "nodes":
		for _, n := range s.cache.nodes {
			marked[n.Name] = func() { s.cache.DeleteNode(n.Name) }
		}
	case "pods":
		for uid := range s.cache.pods {
			marked[string(uid)] = func() { s.cache.DeletePod(uid) }
		}
		for uid := range s.queue.entries {
			marked[string(uid)] = func() { s.queue.remove(uid) }
		}
	}
	s.stale[kind] = marked
}

func (s *Scheduler) receive(kind kindOf, ev watch.Event, on func(watch.Event)) {
	obj, err := meta.Accessor(ev.Object)
	if err != nil {
		return
	}
	if ev.Type == watch.Bookmark {
		if obj.GetAnnotations()[metav1.InitialEventsAnnotationKey] != "true" {
			return
		}
		for _, gone := range s.stale[kind] {
			gone()
		}
		delete(s.stale, kind)
		s.queue.wakeAll(time.Now())
		return
	}
	delete(s.stale[kind], obj.GetName())
	delete(s.stale[kind], string(obj.GetUID()))
	on(ev)
}

// onNode: a node that comes or changes may make room.
func (s *Scheduler) onNode(ev watch.Event) {
	n, ok := ev.Object.(*corev1.Node)
	switch {
	case !ok:
	case ev.Type == watch.Deleted:
		s.cache.DeleteNode(n.Name)
	default:
		old := s.cache.Node(n.Name)
		s.cache.SetNode(n)
		if old == nil || mattersTo(old.Node, n) {
			s.queue.wakeAll(time.Now())
		}
	}
}

// mattersTo reports whether a node changed in something that filters look at.
func mattersTo(old, n *corev1.Node) bool {
	return !equality.Semantic.DeepEqual(old.Spec, n.Spec) || !equality.Semantic.DeepEqual(old.Labels, n.Labels) ||
		!equality.Semantic.DeepEqual(old.Status.Allocatable, n.Status.Allocatable)
}

// onPod: a pod with a node takes room, one that ends gives it back, one without
// waits.
func (s *Scheduler) onPod(ev watch.Event) {
	p, ok := ev.Object.(*corev1.Pod)
	if !ok {
		return
	}
	delete(s.newer, p.UID)
	ended := ev.Type == watch.Deleted || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	switch {
	case ended:
		s.queue.remove(p.UID)
		if s.cache.DeletePod(p.UID) {
			s.queue.wakeAll(time.Now())
		}
	case p.Spec.NodeName != "":
		s.queue.remove(p.UID)
		s.cache.SetPod(framework.NewPod(p), p.Spec.NodeName)
	case p.DeletionTimestamp != nil || p.Spec.SchedulerName != s.o.Name || len(p.Spec.SchedulingGates) > 0:
		s.queue.remove(p.UID)
	default:
		if _, assumed := s.cache.pods[p.UID]; assumed {
			s.newer[p.UID] = framework.NewPod(p) // in case it cannot be bound
			return
		}
		s.queue.put(time.Now(), framework.NewPod(p))
	}
}

func metav1Object(p *Pod) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, UID: p.UID}
}

func name(p *Pod) string { return p.Namespace + "/" + p.Name }

// withCondition returns the pod with PodScheduled False, and whether that says
// anything new.
func withCondition(p *corev1.Pod, reason, message string, now time.Time) (*corev1.Pod, bool) {
	cond := corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, Message: message,
		LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)), ObservedGeneration: p.Generation,
	}
	out := p.DeepCopy()
	for i, old := range out.Status.Conditions {
		if old.Type != cond.Type {
			continue
		}
		if old.Status == cond.Status {
			cond.LastTransitionTime = old.LastTransitionTime
		}
		out.Status.Conditions[i] = cond
		return out, old.Reason != reason || old.Message != message || old.Status != cond.Status
	}
	out.Status.Conditions = append(out.Status.Conditions, cond)
	return out, true
}
