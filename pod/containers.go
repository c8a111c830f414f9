package pod

import (
	"iter"

	corev1 "k8s.io/api/core/v1"
)

// Kind says which of a pod's lists a container is in. Kinds can be combined.
type Kind int

// The kinds, and combinations that are often wanted.
const (
	Init Kind = 1 << iota
	Regular
	Ephemeral

	Main = Init | Regular
	All  = Init | Regular | Ephemeral
)

// Containers yields the containers of the given kinds with their kind: init
// containers, regular ones, ephemeral ones, each in the order of the spec. The
// pointers lead into the spec.
func Containers(spec *corev1.PodSpec, kinds Kind) iter.Seq2[*corev1.Container, Kind] {
	return func(yield func(*corev1.Container, Kind) bool) {
		list := func(k Kind, n int, at func(int) *corev1.Container) bool {
			for i := 0; kinds&k != 0 && i < n; i++ {
				if !yield(at(i), k) {
					return false
				}
			}
			return true
		}
		_ = list(Init, len(spec.InitContainers), func(i int) *corev1.Container { return &spec.InitContainers[i] }) &&
			list(Regular, len(spec.Containers), func(i int) *corev1.Container { return &spec.Containers[i] }) &&
			list(Ephemeral, len(spec.EphemeralContainers), func(i int) *corev1.Container {
				return (*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon)
			})
	}
}

// Find returns the container of that name and its kind, or nil and 0.
func Find(spec *corev1.PodSpec, name string) (*corev1.Container, Kind) {
	for c, k := range Containers(spec, All) {
		if c.Name == name {
			return c, k
		}
	}
	return nil, 0
}

// IsSidecar reports whether an init container is a sidecar: one that is
// restarted always and does not hold up the next. Ask it for init containers
// only; a regular container may have the same policy.
func IsSidecar(init *corev1.Container) bool {
	return init != nil && init.RestartPolicy != nil && *init.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// Sidecars yields the sidecars in the order of their start.
func Sidecars(spec *corev1.PodSpec) iter.Seq[*corev1.Container] {
	return func(yield func(*corev1.Container) bool) {
		for i := range spec.InitContainers {
			if c := &spec.InitContainers[i]; IsSidecar(c) && !yield(c) {
				return
			}
		}
	}
}

// HasSidecars reports whether the pod has any.
func HasSidecars(spec *corev1.PodSpec) bool {
	for range Sidecars(spec) {
		return true
	}
	return false
}

// Status returns the status of the container of that name, or nil.
func Status(statuses []corev1.ContainerStatus, name string) *corev1.ContainerStatus {
	for i := range statuses {
		if statuses[i].Name == name {
			return &statuses[i]
		}
	}
	return nil
}

// Condition returns the condition of that type, or nil.
func Condition(s *corev1.PodStatus, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == t {
			return &s.Conditions[i]
		}
	}
	return nil
}
