package framework

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Resources are amounts as the scheduler compares them: cpu in thousandths of a
// core, everything else in its own unit.
type Resources struct {
	MilliCPU, Memory, EphemeralStorage int64
	// Pods is how many pods a node takes; it is not part of what a pod requests.
	Pods int64
	// Scalar holds huge pages, attachable volumes and extended resources.
	Scalar map[corev1.ResourceName]int64
}

// NewResources reads a resource list. Names that are none of the scheduler's are
// left out.
func NewResources(list corev1.ResourceList) Resources {
	var r Resources
	for name, q := range list {
		switch name {
		case corev1.ResourceCPU:
			r.MilliCPU = q.MilliValue()
		case corev1.ResourceMemory:
			r.Memory = q.Value()
		case corev1.ResourceEphemeralStorage:
			r.EphemeralStorage = q.Value()
		case corev1.ResourcePods:
			r.Pods = q.Value()
		default:
			if IsScalar(name) {
				if r.Scalar == nil {
					r.Scalar = map[corev1.ResourceName]int64{}
				}
				r.Scalar[name] = q.Value()
			}
		}
	}
	return r
}

// IsScalar reports whether a resource that has no field of its own is counted:
// extended resources, huge pages, native ones with a prefix, attachable volumes.
func IsScalar(name corev1.ResourceName) bool {
	return IsExtended(name) ||
		strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) ||
		strings.Contains(string(name), corev1.ResourceDefaultNamespacePrefix) ||
		strings.HasPrefix(string(name), corev1.ResourceAttachableVolumesPrefix)
}

// IsExtended reports whether a resource is somebody's own: with a domain that is
// not Kubernetes'.
func IsExtended(name corev1.ResourceName) bool {
	s := string(name)
	return strings.Contains(s, "/") && !strings.Contains(s, corev1.ResourceDefaultNamespacePrefix) &&
		!strings.HasPrefix(s, corev1.DefaultResourceRequestsPrefix)
}

// Plus returns the sum. Pods are not added up.
func (r Resources) Plus(o Resources) Resources { return r.plus(o, 1) }

// Minus returns the difference.
func (r Resources) Minus(o Resources) Resources { return r.plus(o, -1) }

func (r Resources) plus(o Resources, sign int64) Resources {
	r.MilliCPU += sign * o.MilliCPU
	r.Memory += sign * o.Memory
	r.EphemeralStorage += sign * o.EphemeralStorage
	if len(o.Scalar) == 0 {
		return r
	}
	scalar := make(map[corev1.ResourceName]int64, len(r.Scalar)+len(o.Scalar))
	for name, n := range r.Scalar {
		scalar[name] = n
	}
	for name, n := range o.Scalar {
		scalar[name] += sign * n
	}
	r.Scalar = scalar
	return r
}
