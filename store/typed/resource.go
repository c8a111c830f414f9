package typed

import (
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Resource describes one kind of object. Kind, Plural and New are needed; the
// zero value of the rest means that the kind does not have that.
type Resource struct {
	Kind       schema.GroupVersionKind
	Plural     string // "pods"
	Namespaced bool
	// New returns an empty object.
	New func() Object
	// Split returns pointers to an object's spec and status fields, nil where it
	// has none. With a spec, changes of it bump metadata.generation; without a
	// status, UpdateStatus is refused.
	Split func(Object) (spec, status any)
	// Fields returns what field selectors may select by besides metadata.name and
	// metadata.namespace. It is also called with an empty object, for the names.
	Fields func(Object) fields.Set
	// Grace returns the grace period of a deletion in seconds, given what the
	// request says, if anything. Nil means that deletions are immediate.
	Grace func(obj Object, requested *int64) int64
}

// GroupResource names the resource in errors.
func (r Resource) GroupResource() schema.GroupResource {
	return schema.GroupResource{Group: r.Kind.Group, Resource: r.Plural}
}

// prefix is where a resource's keys begin, in one namespace or in all.
func (r Resource) prefix(namespace string) string {
	var b strings.Builder
	if r.Kind.Group != "" {
		b.WriteString(r.Kind.Group + "/")
	}
	b.WriteString(r.Plural + "/")
	if r.Namespaced && namespace != "" {
		b.WriteString(namespace + "/")
	}
	return b.String()
}

func (r Resource) key(namespace, name string) string { return r.prefix(namespace) + name }

func (r Resource) spec(obj Object) any {
	if r.Split == nil {
		return nil
	}
	spec, _ := r.Split(obj)
	return spec
}

func (r Resource) status(obj Object) any {
	if r.Split == nil {
		return nil
	}
	_, status := r.Split(obj)
	return status
}
