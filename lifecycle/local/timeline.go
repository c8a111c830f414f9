package local

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/pod"
)

// Span is one phase of a pod's life.
type Span struct {
	// Name is the phase ("CreateSandbox", "cri/network"), Detail what it was
	// about: an action's key.
	Name, Detail string
	Start, End   time.Time
	// Error is why it failed, empty after success.
	Error string
}

// Phases of a start that are no actions of the runner.
const (
	PhaseAPI           = "API processing"
	PhaseScheduling    = "scheduling"
	PhaseNodeAdmission = "node admission"
	PhaseProbes        = "probes"
	PhaseReady         = "Ready"
)

// timelineMax bounds what is kept of a pod: its start.
const timelineMax = 512

// timeline is the spans of one pod, in the order in which they ended.
type timeline struct {
	mu    sync.Mutex
	spans []Span
}

func (t *timeline) add(s Span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.spans) < timelineMax {
		t.spans = append(t.spans, s)
	}
}

func (t *timeline) all() []Span {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Span(nil), t.spans...)
}

// phase records one phase that is no action of the runner.
func (t *timeline) phase(name string, start time.Time) {
	t.add(Span{Name: name, Start: start, End: time.Now()})
}

// attribute keys that the runner sets.
const (
	keyPod    = "k8s.pod.uid"
	keyAction = "lifepod.key"
)

type span struct {
	noop.Span
	provider provider
	s        Span
	line     *timeline
}

type provider struct {
	embedded.TracerProvider
	tracer trace.Tracer
}

// Tracer returns the collector, whatever the name.
func (p provider) Tracer(string, ...trace.TracerOption) trace.Tracer { return p.tracer }

// collector gathers the runner's spans, and those that blocks start below them,
// by pod. It is the OpenTelemetry API without its SDK.
type collector struct {
	embedded.Tracer
	n *Node
}

// Start begins a span of the pod that the options name, or of the parent's.
func (c collector) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	s := &span{provider: provider{tracer: c}, s: Span{Name: name, Start: time.Now()}}
	if parent, ok := trace.SpanFromContext(ctx).(*span); ok {
		s.line, s.s.Detail = parent.line, parent.s.Detail
	}
	cfg := trace.NewSpanStartConfig(opts...)
	for _, a := range cfg.Attributes() {
		switch string(a.Key) {
		case keyPod:
			s.line = c.n.timelineOf(types.UID(a.Value.AsString()))
		case keyAction:
			s.s.Detail = a.Value.AsString()
		}
	}
	return trace.ContextWithSpan(ctx, s), s
}

func (s *span) End(...trace.SpanEndOption) {
	s.s.End = time.Now()
	if s.line != nil {
		s.line.add(s.s)
	}
}

func (s *span) SetStatus(code codes.Code, description string) {
	if code == codes.Error {
		s.s.Error = description
	}
}

func (s *span) IsRecording() bool { return true }

func (s *span) TracerProvider() trace.TracerProvider { return s.provider }

func (n *Node) timelineOf(uid types.UID) *timeline {
	n.mu.Lock()
	defer n.mu.Unlock()
	if d := n.pods[uid]; d != nil {
		return &d.timeline
	}
	return nil
}

// sawStatus marks the phases that end with a status: probes from the start of
// all containers to Ready, and the whole way to Ready.
func (d *driven) sawStatus(s corev1.PodStatus) {
	d.timeline.mu.Lock()
	defer d.timeline.mu.Unlock()
	now := time.Now()
	if d.began.IsZero() || d.ready {
		return
	}
	if d.allRan.IsZero() && s.Phase == corev1.PodRunning && allStarted(s) {
		d.allRan = now
	}
	if c := pod.Condition(&s, corev1.PodReady); c != nil && c.Status == corev1.ConditionTrue {
		d.ready = true
		if !d.allRan.IsZero() {
			d.timeline.spans = append(d.timeline.spans, Span{Name: PhaseProbes, Start: d.allRan, End: now})
		}
		d.timeline.spans = append(d.timeline.spans, Span{Name: PhaseReady, Start: d.began, End: now})
	}
}

func allStarted(s corev1.PodStatus) bool {
	for _, c := range s.ContainerStatuses {
		if c.State.Running == nil {
			return false
		}
	}
	return true
}
