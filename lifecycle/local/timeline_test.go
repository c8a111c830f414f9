package local

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// said are a timeline's spans as text, their times in seconds after start.
func said(d *driven, start time.Time) string {
	var out []string
	for _, s := range d.timeline.all() {
		end := "…"
		if !s.End.IsZero() {
			end = fmt.Sprint(s.End.Sub(start).Seconds())
		}
		text := fmt.Sprintf("%s %s %v-%s %s", s.Name, s.Container, s.Start.Sub(start).Seconds(), end, s.Error)
		out = append(out, strings.Join(strings.Fields(text), " "))
	}
	return strings.Join(out, "\n")
}

func probed(ready bool, state corev1.ContainerState) corev1.PodStatus {
	s := corev1.PodStatus{Phase: corev1.PodRunning}
	s.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", Ready: ready, State: state}, {Name: "bare", State: state}}
	if ready {
		s.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	return s
}

func TestStatusesMakePhases(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	for name, c := range map[string]struct {
		statuses []corev1.PodStatus // a second apart
		want     string
	}{
		"probes until it is ready": {
			[]corev1.PodStatus{probed(false, corev1.ContainerState{}), probed(false, running), probed(false, running), probed(true, running)},
			"Ready 0-4\nprobes app 2-4",
		},
		"under way": {
			[]corev1.PodStatus{probed(false, running)},
			"Ready 0-…\nprobes app 1-…",
		},
		"a restart is probed again": {
			[]corev1.PodStatus{probed(false, running), probed(false, corev1.ContainerState{}), probed(false, running), probed(true, running)},
			"Ready 0-4\nprobes app 1-2\nprobes app 3-4",
		},
		"what comes after Ready is not the start": {
			[]corev1.PodStatus{probed(true, running), probed(false, running), {Phase: corev1.PodFailed}},
			"Ready 0-1",
		},
		"an end without Ready": {
			[]corev1.PodStatus{{Phase: corev1.PodFailed}},
			"Ready 0-1 it ended without having been Ready",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				d := newDriven()
				d.toReady = d.timeline.begin(Span{Name: PhaseReady, Start: start})
				d.pod = &corev1.Pod{}
				d.pod.Spec.Containers = []corev1.Container{{Name: "app", ReadinessProbe: &corev1.Probe{}}, {Name: "bare"}}
				for _, s := range c.statuses {
					time.Sleep(time.Second)
					d.sawStatus(s)
				}
				if got := said(d, start); got != c.want {
					t.Errorf("timeline\n%s\nwant\n%s", got, c.want)
				}
			})
		})
	}
}

// Spans of an action are the pod's from when they begin, and carry the container
// to what happens inside.
func TestCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d := newDriven()
		n := &Node{pods: map[types.UID]*driven{"u": d}}
		c := collector{n: n}
		ctx, action := c.Start(context.Background(), "StartContainer", trace.WithAttributes(
			attribute.String("k8s.pod.uid", "u"), attribute.String("k8s.container.name", "app"), attribute.String("lifepod.key", "start/app")))
		time.Sleep(time.Second)
		_, inside := trace.SpanFromContext(ctx).TracerProvider().Tracer("cri").Start(ctx, "cri/create")
		time.Sleep(time.Second)
		inside.SetStatus(codes.Error, "no space")
		inside.End()
		_, nobodys := c.Start(context.Background(), "elsewhere")
		nobodys.End()
		if got, want := said(d, start), "StartContainer app 0-…\ncri/create app 1-2 no space"; got != want {
			t.Errorf("timeline\n%s\nwant\n%s", got, want)
		}
		action.End()
		if got := d.timeline.all(); got[0].End.IsZero() || got[0].Detail != "start/app" || got[1].Detail != "start/app" {
			t.Errorf("spans %+v", got)
		}
	})
}

// What a reader has not seen when it is called off, it still gets.
func TestFeedYieldsTheRest(t *testing.T) {
	for range 100 { // the choice between news and the end is random
		var f feed[int]
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f.add(1)
		var got []int
		for v, err := range f.all(ctx, false) {
			if err != nil {
				break
			}
			if got = append(got, v); v == 1 {
				go func() { f.add(2); cancel() }()
			}
		}
		if len(got) != 2 {
			t.Fatalf("it yields %v", got)
		}
	}
}
