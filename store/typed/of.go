package typed

import (
	"context"
	"iter"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// Of is a Client for one type. Its methods are those of Client.
type Of[T Object] struct {
	Client   Client
	Resource Resource
}

// Event is a watch event of one type. A bookmark's Object holds nothing but the
// resourceVersion.
type Event[T Object] struct {
	Type   watch.EventType
	Object T
}

// Get returns one object, or 404.
func (c Of[T]) Get(ctx context.Context, namespace, name string) (T, error) {
	obj, err := c.Client.Get(ctx, c.Resource, namespace, name)
	return as[T](obj, err)
}

// List returns the matching objects and the resourceVersion of the list.
func (c Of[T]) List(ctx context.Context, namespace string, o metav1.ListOptions) ([]T, string, error) {
	list, err := c.Client.List(ctx, c.Resource, namespace, o)
	if err != nil {
		return nil, "", err
	}
	items := make([]T, len(list.Items))
	for i, obj := range list.Items {
		items[i] = obj.(T)
	}
	return items, list.ResourceVersion, nil
}

// Watch yields events, see Client.Watch.
func (c Of[T]) Watch(ctx context.Context, namespace string, o metav1.ListOptions) iter.Seq2[Event[T], error] {
	seq := c.Client.Watch(ctx, c.Resource, namespace, o)
	return func(yield func(Event[T], error) bool) {
		for ev, err := range seq {
			var out Event[T]
			if err == nil {
				out = Event[T]{Type: ev.Type, Object: ev.Object.(T)}
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

// Create stores a new object and returns it as stored.
func (c Of[T]) Create(ctx context.Context, obj T) (T, error) {
	out, err := c.Client.Create(ctx, c.Resource, obj, metav1.CreateOptions{})
	return as[T](out, err)
}

// Update replaces everything but the status and returns what is stored now.
func (c Of[T]) Update(ctx context.Context, obj T) (T, error) {
	out, err := c.Client.Update(ctx, c.Resource, obj, metav1.UpdateOptions{})
	return as[T](out, err)
}

// UpdateStatus replaces the status and returns what is stored now.
func (c Of[T]) UpdateStatus(ctx context.Context, obj T) (T, error) {
	out, err := c.Client.UpdateStatus(ctx, c.Resource, obj, metav1.UpdateOptions{})
	return as[T](out, err)
}

// Delete removes the object or begins to, see Client.Delete.
func (c Of[T]) Delete(ctx context.Context, namespace, name string, o metav1.DeleteOptions) error {
	return c.Client.Delete(ctx, c.Resource, namespace, name, o)
}

func as[T Object](obj Object, err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return obj.(T), nil
}
