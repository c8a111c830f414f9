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
	return kind{}, fmt.Errorf("objects of type %T cannot be admitted; use one of %s", obj, known())
}

func kindNamed(gvk schema.GroupVersionKind) (kind, error) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.gvk == gvk })
	if i < 0 {
		return kind{}, fmt.Errorf("no kind %q is registered for version %q; use one of %s", gvk.Kind, gvk.GroupVersion(), known())
	}
	return kinds[i], nil
}

func known() string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.gvk.Kind)
	}
	return strings.Join(names, ", ") + " of v1"
}
