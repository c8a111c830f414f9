package core

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/lifepod/lifepod/store/typed"
)

// Recorder writes events as kubectl describe shows them: what repeats word for
// word about one object is one Event with a count. Fill in Client and Source
// before the first use; then it is safe for concurrent use.
type Recorder struct {
	Client typed.Client
	Source corev1.EventSource
	// OnError hears of events that could not be written. Nil drops them: an event
	// must never hold up what it tells of.
	OnError func(error)

	mu    sync.Mutex
	known map[eventKey]string // → the Event's name
}

type eventKey struct{ namespace, object, kind, reason, message string }

// maxKnown bounds what a Recorder remembers to count repetitions.
const maxKnown = 4096

// Event records that reason happened to object, with the signature of
// client-go's record.EventRecorder. eventtype is Normal or Warning.
func (r *Recorder) Event(object runtime.Object, eventtype, reason, message string) {
	if err := r.record(object, eventtype, reason, message); err != nil && r.OnError != nil {
		r.OnError(fmt.Errorf("record event %s: %w", reason, err))
	}
}

// Eventf is Event with a format.
func (r *Recorder) Eventf(object runtime.Object, eventtype, reason, format string, args ...any) {
	r.Event(object, eventtype, reason, fmt.Sprintf(format, args...))
}

func (r *Recorder) record(object runtime.Object, eventtype, reason, message string) error {
	ref, err := reference(object)
	if err != nil {
		return err
	}
	key := eventKey{ref.Namespace, string(ref.UID) + "/" + ref.Name, eventtype, reason, message}
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	ctx := context.Background() // the signature has none; a store answers at once

	r.mu.Lock()
	defer r.mu.Unlock()
	if name, ok := r.known[key]; ok {
		err := r.repeat(ctx, ref.Namespace, name, now)
		if !apierrors.IsNotFound(err) {
			return err
		}
	}
	ev := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name},
		InvolvedObject: ref, Reason: reason, Message: message, Type: eventtype,
		Source: r.Source, ReportingController: r.Source.Component, ReportingInstance: r.Source.Host,
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	}
	if ev.Namespace == "" {
		ev.Namespace = metav1.NamespaceDefault
	}
	out, err := r.create(ctx, ev, time.Now().UnixNano())
	if err != nil {
		return err
	}
	if r.known == nil || len(r.known) >= maxKnown {
		r.known = map[eventKey]string{}
	}
	r.known[key] = out.Name
	return nil
}

// create names ev after its object and the time; two may fall into one instant.
func (r *Recorder) create(ctx context.Context, ev *corev1.Event, nanos int64) (*corev1.Event, error) {
	base := ev.Name
	for {
		ev.Name = fmt.Sprintf("%s.%x", base, nanos)
		out, err := Events(r.Client).Create(ctx, ev)
		if !apierrors.IsAlreadyExists(err) {
			return out, err
		}
		nanos++
	}
}

func (r *Recorder) repeat(ctx context.Context, namespace, name string, now metav1.Time) error {
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	events := Events(r.Client)
	for {
		ev, err := events.Get(ctx, namespace, name)
		if err != nil {
			return err
		}
		ev.Count++
		ev.LastTimestamp = now
		if _, err = events.Update(ctx, ev); !apierrors.IsConflict(err) {
			return err
		}
	}
}

// reference names object; one without kind is looked up among this package's.
func reference(object runtime.Object) (corev1.ObjectReference, error) {
	if ref, ok := object.(*corev1.ObjectReference); ok {
		return *ref, nil
	}
	obj, ok := object.(typed.Object)
	if !ok {
		return corev1.ObjectReference{}, fmt.Errorf("%T has no metadata", object)
	}
	gvk := obj.GetObjectKind().GroupVersionKind()
	if gvk.Kind == "" {
		for _, r := range All() {
			if fmt.Sprintf("%T", r.New()) == fmt.Sprintf("%T", object) {
				gvk = r.Kind
			}
		}
	}
	return corev1.ObjectReference{
		Kind: gvk.Kind, APIVersion: gvk.GroupVersion().String(),
		Namespace: obj.GetNamespace(), Name: obj.GetName(), UID: obj.GetUID(), ResourceVersion: obj.GetResourceVersion(),
	}, nil
}
