package local

import (
	"context"
	"slices"
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

// Span is one stretch of a pod's life, as fine as it is known. [Phases] puts
// spans together to what people know a start by.
type Span struct {
	// Name is what was done: a phase that is no action of the runner
	// ("scheduling"), an action ("CreateSandbox"), or what a block did in it
	// ("cri/network").
	Name string `json:"name"`
	// Detail is the key of the action, Container whose it was; empty for the pod's
	// own.
	Detail    string    `json:"detail,omitempty"`
	Container string    `json:"container,omitempty"`
	Start     time.Time `json:"start"`
	// End is zero while it is under way.
	End time.Time `json:"end,omitzero"`
	// Error is why it failed, empty after success.
	Error string `json:"error,omitempty"`
}

// timelineMax bounds what is kept of a pod: its start.
const timelineMax = 512

// timeline is the spans of one pod, in the order in which they began.
type timeline struct {
	mu    sync.Mutex
	spans []*Span
}

// begin adds a span that is under way; end it with the timeline locked.
func (t *timeline) begin(s Span) *Span {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.add(s)
}

func (t *timeline) add(s Span) *Span {
	if len(t.spans) < timelineMax {
		t.spans = append(t.spans, &s)
	}
	return &s
}

func (t *timeline) all() []Span {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Span, len(t.spans))
	for i, s := range t.spans {
		out[i] = *s
	}
	return out
}

// phase records one phase that is no action of the runner.
func (t *timeline) phase(name string, start time.Time) {
	t.begin(Span{Name: name, Start: start, End: time.Now()})
}

// attribute keys that the runner sets.
const (
	keyPod       = "k8s.pod.uid"
	keyContainer = "k8s.container.name"
	keyAction    = "lifepod.key"
)

type span struct {
	noop.Span
	provider provider
	s        *Span
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
	s := Span{Name: name, Start: time.Now()}
	var line *timeline
	if parent, ok := trace.SpanFromContext(ctx).(*span); ok {
		line, s.Detail, s.Container = parent.line, parent.s.Detail, parent.s.Container
	}
	cfg := trace.NewSpanStartConfig(opts...)
	for _, a := range cfg.Attributes() {
		switch string(a.Key) {
		case keyPod:
			line = c.n.timelineOf(types.UID(a.Value.AsString()))
		case keyContainer:
			s.Container = a.Value.AsString()
		case keyAction:
			s.Detail = a.Value.AsString()
		}
	}
	if line == nil {
		line = &timeline{} // nobody's
	}
	sp := &span{provider: provider{tracer: c}, s: line.begin(s), line: line}
	return trace.ContextWithSpan(ctx, sp), sp
}

func (s *span) End(...trace.SpanEndOption) {
	s.line.mu.Lock()
	defer s.line.mu.Unlock()
	s.s.End = time.Now()
}

func (s *span) SetStatus(code codes.Code, description string) {
	if code == codes.Error {
		s.line.mu.Lock()
		defer s.line.mu.Unlock()
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

// sawStatus marks the phases that a status ends or begins: the probes of a
// container, and the way to Ready.
func (d *driven) sawStatus(s corev1.PodStatus) {
	d.timeline.mu.Lock()
	defer d.timeline.mu.Unlock()
	if d.toReady == nil || !d.toReady.End.IsZero() {
		return
	}
	now := time.Now()
	for _, c := range slices.Concat(s.InitContainerStatuses, s.ContainerStatuses) {
		d.sawContainer(c, now)
	}
	if c := pod.Condition(&s, corev1.PodReady); c != nil && c.Status == corev1.ConditionTrue {
		d.toReady.End = now
	}
	if s.Phase == corev1.PodSucceeded || s.Phase == corev1.PodFailed {
		d.toReady.End, d.toReady.Error = now, "it ended without having been Ready"
	}
}

// sawContainer counts as probing the time from a container's start to its being
// ready, or its end, if it has a probe to wait for.
func (d *driven) sawContainer(s corev1.ContainerStatus, now time.Time) {
	c, _ := pod.Find(&d.pod.Spec, s.Name)
	if c == nil || c.StartupProbe == nil && c.ReadinessProbe == nil {
		return
	}
	probing := d.probing[s.Name]
	switch {
	case s.State.Running != nil && !s.Ready && probing == nil:
		d.probing[s.Name] = d.timeline.add(Span{Name: PhaseProbes, Container: s.Name, Start: now})
	case probing != nil && (s.Ready || s.State.Running == nil):
		probing.End = now
		delete(d.probing, s.Name)
	}
}
