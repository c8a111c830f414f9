package show_test

import (
	"context"
	"fmt"
	"iter"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/lifecycle/local"
)

// story is a pod to which everything has happened; until hold is closed its end
// has not.
type story struct {
	pod      *corev1.Pod
	statuses []corev1.PodStatus
	events   []corev1.Event
	spans    []local.Span
	hold     chan struct{}
}

func (s *story) Pod() *corev1.Pod       { return s.pod }
func (s *story) Timeline() []local.Span { return s.spans }

func (s *story) Status(ctx context.Context) iter.Seq2[corev1.PodStatus, error] {
	return tell(ctx, s.statuses, s.hold)
}

func (s *story) Events(ctx context.Context) iter.Seq2[corev1.Event, error] {
	return tell(ctx, s.events, s.hold)
}

func tell[T any](ctx context.Context, all []T, hold <-chan struct{}) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range all {
			if !yield(v, nil) {
				return
			}
		}
		if hold == nil {
			return
		}
		select {
		case <-hold:
		case <-ctx.Done():
			var zero T
			yield(zero, ctx.Err())
		}
	}
}

// aStory is a pod of two containers that becomes Ready.
func aStory(name string) *story {
	s := &story{pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: "u-1"}}}
	s.statuses = []corev1.PodStatus{status(corev1.PodPending, false), status(corev1.PodRunning, false), status(corev1.PodRunning, true)}
	for i, reason := range []string{"Scheduled", "Pulled", "Created", "Started"} {
		s.events = append(s.events, corev1.Event{
			Type: "Normal", Reason: reason, Message: fmt.Sprintf("event %d of %s", i, name),
			InvolvedObject: corev1.ObjectReference{FieldPath: "spec.containers{app}"},
		})
	}
	at := func(ms int) time.Time { return time.Unix(1, 0).Add(time.Duration(ms) * time.Millisecond) }
	for _, p := range []struct {
		name, container string
		from, to        int
	}{
		{local.PhaseReady, "", 0, 100},
		{local.PhaseAPI, "", 0, 10},
		{"StartContainer", "app", 10, 50}, {"cri/start", "app", 30, 50},
		{"StartContainer", "log", 50, 90}, {"cri/start", "log", 70, 90},
	} {
		s.spans = append(s.spans, local.Span{Name: p.name, Container: p.container, Start: at(p.from), End: at(p.to)})
	}
	return s
}

func status(phase corev1.PodPhase, ready bool) corev1.PodStatus {
	truth := corev1.ConditionFalse
	state := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
	reason := "ContainersNotReady"
	if phase == corev1.PodRunning {
		state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	}
	if ready {
		truth, reason = corev1.ConditionTrue, ""
	}
	return corev1.PodStatus{
		Phase: phase, PodIP: "10.0.0.2",
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: truth, Reason: reason},
			{Type: corev1.ContainersReady, Status: truth, Reason: reason},
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
		},
		ContainerStatuses: []corev1.ContainerStatus{
			{Name: "app", State: state, Ready: ready}, {Name: "log", State: state, Ready: ready, RestartCount: 2},
		},
	}
}
