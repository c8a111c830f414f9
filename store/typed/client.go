package typed

import (
	"context"
	"iter"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// Object is any Kubernetes object.
type Object interface {
	runtime.Object
	metav1.Object
}

// List is what Client.List found, and when.
type List struct {
	// ResourceVersion continues as a watch after this list.
	ResourceVersion string
	Items           []Object
}

// Client reads, writes and watches objects. All methods are safe for concurrent
// use. Objects that come out belong to the caller; objects that go in are copied.
// Namespaces are empty for resources that have none, and empty in List and Watch
// for all namespaces.
type Client interface {
	// Get returns one object, or 404.
	Get(ctx context.Context, r Resource, namespace, name string) (Object, error)
	// List returns the objects that match the selectors of o, ordered by namespace
	// and name. Limit is not honoured, as the API allows; a Continue token is 410.
	List(ctx context.Context, r Resource, namespace string, o metav1.ListOptions) (List, error)
	// Watch yields ADDED, MODIFIED, DELETED and, where o.AllowWatchBookmarks asks
	// for them, BOOKMARK events, as they match o's selectors: an object that
	// begins to match is ADDED, one that ceases to is DELETED. Without a
	// resourceVersion all present objects come first as ADDED. The last thing
	// yielded is an error: ctx's at its end, 410 Expired when too slow. Only
	// o.TimeoutSeconds ends it without one.
	Watch(ctx context.Context, r Resource, namespace string, o metav1.ListOptions) iter.Seq2[watch.Event, error]
	// Create stores a new object and returns it as stored; it must bring no
	// resourceVersion. uid and creationTimestamp are set where missing, and a
	// name is made from generateName. 409 AlreadyExists.
	Create(ctx context.Context, r Resource, obj Object, o metav1.CreateOptions) (Object, error)
	// Update replaces everything but the status, see the package doc.
	Update(ctx context.Context, r Resource, obj Object, o metav1.UpdateOptions) (Object, error)
	// UpdateStatus replaces the status alone (labels and annotations too, as for
	// pods in Kubernetes).
	UpdateStatus(ctx context.Context, r Resource, obj Object, o metav1.UpdateOptions) (Object, error)
	// Delete removes an object, or begins to: with finalizers, or with a grace
	// period for kinds that have one, it sets metadata.deletionTimestamp. A later
	// Delete may shorten the grace. 404 for what is not there.
	Delete(ctx context.Context, r Resource, namespace, name string, o metav1.DeleteOptions) error
}
