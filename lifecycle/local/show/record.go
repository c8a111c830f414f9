package show

import (
	"encoding/json"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/lifecycle/local"
)

// Record is one line of JSON. Fields may be added, none changes its meaning.
type Record struct {
	// Type names the field that is set: "status", "event", "timeline", "message".
	Type string    `json:"type"`
	Time time.Time `json:"time"` // when it was written
	Pod  Ref       `json:"pod"`

	// Status is the whole new status of the pod.
	Status *corev1.PodStatus `json:"status,omitempty"`
	Event  *corev1.Event     `json:"event,omitempty"`
	// Timeline comes once: when the pod is Ready, or when it is known that it will
	// not be.
	Timeline *Timeline `json:"timeline,omitempty"`
	// Message is the program's own.
	Message string `json:"message,omitempty"`
}

// Ref says which pod a record is about.
type Ref struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid"`
}

// Timeline is a start: its phases, and the spans that they were made of.
type Timeline struct {
	Phases []local.Phase `json:"phases"`
	Spans  []local.Span  `json:"spans"`
}

// records writes JSON lines.
type records struct{ out io.Writer }

func (r *records) write(p Pod, rec Record) {
	q := p.Pod()
	rec.Time, rec.Pod = time.Now(), Ref{q.Namespace, q.Name, q.UID}
	_ = json.NewEncoder(r.out).Encode(rec) // nobody reads it any more, then
}

func (r *records) status(p Pod, _, now corev1.PodStatus) {
	r.write(p, Record{Type: "status", Status: &now})
}

func (r *records) event(p Pod, e corev1.Event) { r.write(p, Record{Type: "event", Event: &e}) }

func (r *records) started(p Pod) {
	spans := p.Timeline()
	r.write(p, Record{Type: "timeline", Timeline: &Timeline{local.Phases(spans, time.Now()), spans}})
}

func (r *records) waits(p Pod, text string) { r.say(p, text) }

func (r *records) say(p Pod, text string) { r.write(p, Record{Type: "message", Message: text}) }

func (r *records) close() {}
