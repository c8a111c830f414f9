package admission

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kind is one kind that the path knows.
type kind struct {
	gvk        schema.GroupVersionKind
	plural     string
	namespaced bool
	empty      func() Object
}

var kinds = []kind{
	{core("ConfigMap"), "configmaps", true, func() Object { return new(corev1.ConfigMap) }},
	{core("Namespace"), "namespaces", false, func() Object { return new(corev1.Namespace) }},
	{core("Node"), "nodes", false, func() Object { return new(corev1.Node) }},
	{core("Pod"), "pods", true, func() Object { return new(corev1.Pod) }},
	{core("Secret"), "secrets", true, func() Object { return new(corev1.Secret) }},
	{core("Service"), "services", true, func() Object { return new(corev1.Service) }},
	{core("ServiceAccount"), "serviceaccounts", true, func() Object { return new(corev1.ServiceAccount) }},
}

func core(name string) schema.GroupVersionKind { return corev1.SchemeGroupVersion.WithKind(name) }

func kindOf(obj Object) (kind, error) {
	for _, k := range kinds {
		if reflect.TypeOf(k.empty()) == reflect.TypeOf(obj) {
			return k, nil
		}
	}
	return kind{}, fmt.Errorf("objects of type %T cannot be admitted; use one of %s", obj, known(nil))
}

func kindNamed(gvk schema.GroupVersionKind, only []string) (kind, error) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.gvk == gvk })
	switch {
	case i < 0:
		return kind{}, fmt.Errorf("no kind %q is registered for version %q; use one of %s", gvk.Kind, gvk.GroupVersion(), known(only))
	case !kinds[i].among(only):
		return kind{}, fmt.Errorf("kind %q is not taken here; use one of %s", gvk.Kind, known(only))
	}
	return kinds[i], nil
}

// among says whether k is one of the kinds of these names, of all if there are none.
func (k kind) among(only []string) bool {
	return len(only) == 0 || slices.Contains(only, k.gvk.Kind)
}

func known(only []string) string {
	var names []string
	for _, k := range kinds {
		if k.among(only) {
			names = append(names, k.gvk.Kind)
		}
	}
	return strings.Join(names, ", ") + " of v1"
}
