package pod

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	helper "k8s.io/component-helpers/resource"
)

// Requests returns what the pod as a whole requests: its containers' (the larger
// of what runs together and of what each init container needs beside the
// sidecars before it), replaced per resource by pod-level requests, plus
// overhead.
func Requests(p *corev1.Pod) corev1.ResourceList {
	return helper.PodRequests(ownResources(p), helper.PodResourcesOptions{})
}

// Limits returns the pod's limits by the same rule; overhead counts only where
// there is a limit.
func Limits(p *corev1.Pod) corev1.ResourceList {
	return helper.PodLimits(ownResources(p), helper.PodResourcesOptions{})
}

// ownResources gives a pod whose pod-level resources may be written to: adding
// the overhead would change those of p where a quantity does not fit an int64.
func ownResources(p *corev1.Pod) *corev1.Pod {
	if p.Spec.Resources == nil || p.Spec.Overhead == nil {
		return p
	}
	own := *p
	own.Spec.Resources = p.Spec.Resources.DeepCopy()
	return &own
}

// ContainersRequests returns what the containers alone request.
func ContainersRequests(p *corev1.Pod) corev1.ResourceList {
	return helper.AggregateContainerRequests(p, helper.PodResourcesOptions{})
}

// ContainersLimits returns the limits of the containers alone.
func ContainersLimits(p *corev1.Pod) corev1.ResourceList {
	return helper.AggregateContainerLimits(p, helper.PodResourcesOptions{})
}

// RequestsInUse is [Requests] for a pod that may be in the middle of a resize:
// per resource the largest of what is asked for, allocated and in effect.
func RequestsInUse(p *corev1.Pod) corev1.ResourceList {
	return helper.PodRequests(p, helper.PodResourcesOptions{
		UseStatusResources: true, InPlacePodLevelResourcesVerticalScalingEnabled: true,
	})
}

// HasPodLevelResources reports whether spec.resources says anything about cpu,
// memory or huge pages; other names there do not count.
func HasPodLevelResources(p *corev1.Pod) bool { return helper.IsPodLevelResourcesSet(p) }

// HasPodLevelRequests is the same for spec.resources.requests alone.
func HasPodLevelRequests(p *corev1.Pod) bool { return helper.IsPodLevelRequestsSet(p) }

// LimitsDeclared reports whether the pod as a whole is bound for a resource:
// every init and regular container has a limit, or the pod itself has.
func LimitsDeclared(p *corev1.Pod, name corev1.ResourceName) bool {
	if q := podLevelLimit(p, name); !q.IsZero() {
		return true
	}
	for c := range Containers(&p.Spec, Main) {
		if q := c.Resources.Limits[name]; q.IsZero() {
			return false
		}
	}
	return true
}

// ContainerLimit returns the limit that binds a container: its own or, if it has
// none, the pod's. Zero means none.
func ContainerLimit(p *corev1.Pod, c *corev1.Container, name corev1.ResourceName) resource.Quantity {
	if q := c.Resources.Limits[name]; !q.IsZero() {
		return q
	}
	return podLevelLimit(p, name)
}

func podLevelLimit(p *corev1.Pod, name corev1.ResourceName) resource.Quantity {
	if !HasPodLevelResources(p) {
		return resource.Quantity{}
	}
	return p.Spec.Resources.Limits[name]
}
