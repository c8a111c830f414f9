package admission

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Object is any Kubernetes object.
type Object interface {
	runtime.Object
	metav1.Object
}

// Operation is what a request wants to do.
type Operation string

// The operations.
const (
	Create Operation = "CREATE"
	Update Operation = "UPDATE"
	Delete Operation = "DELETE"
)

// Request is what a plugin sees. Only Object may be changed, and only by a
// Mutator.
type Request struct {
	Operation Operation
	Kind      schema.GroupVersionKind
	Resource  schema.GroupVersionResource
	// Object is new state, nil for Delete.
	Object Object
	// Old is the state that is there, nil for Create.
	Old Object
	// DryRun says that nothing will be stored, so nothing outside may change.
	DryRun bool
}

// Mutator changes the object of a request. It is called once per request, in
// the order of the chain; defaulting follows it. An error refuses the request: an
// API error as it is, any other as 403 Forbidden with its text.
type Mutator interface {
	Mutate(ctx context.Context, r *Request) error
}

// Validator judges the final object and must not change it. Validators may be
// called in any order. Its errors are as those of a Mutator.
type Validator interface {
	Validate(ctx context.Context, r *Request) error
}

// MutateFunc is a function as a Mutator.
type MutateFunc func(ctx context.Context, r *Request) error

// Mutate calls f.
func (f MutateFunc) Mutate(ctx context.Context, r *Request) error { return f(ctx, r) }

// ValidateFunc is a function as a Validator.
type ValidateFunc func(ctx context.Context, r *Request) error

// Validate calls f.
func (f ValidateFunc) Validate(ctx context.Context, r *Request) error { return f(ctx, r) }

// Plugin is one link of the chain. Either field may be nil.
type Plugin struct {
	Name     string
	Mutate   Mutator
	Validate Validator
}
