package pod

import corev1 "k8s.io/api/core/v1"

// Priorities from SystemCritical on are for the system's own pods.
const (
	HighestUserPriority    int32 = 1_000_000_000
	SystemCriticalPriority       = 2 * HighestUserPriority

	// SystemNodeCritical and SystemClusterCritical are the built-in classes.
	SystemNodeCritical    = "system-node-critical"
	SystemClusterCritical = "system-cluster-critical"

	sourceAnnotation = "kubernetes.io/config.source"
	sourceAPI        = "api"
)

// Priority returns the pod's priority; without one it is 0.
func Priority(p *corev1.Pod) int32 {
	if p.Spec.Priority == nil {
		return 0
	}
	return *p.Spec.Priority
}

// IsStatic reports whether the pod comes from a file or URL of the node, not
// from an API server.
func IsStatic(p *corev1.Pod) bool {
	source, ok := p.Annotations[sourceAnnotation]
	return ok && source != sourceAPI
}

// IsMirror reports whether the pod only shows a static pod in the API.
func IsMirror(p *corev1.Pod) bool {
	_, ok := p.Annotations[corev1.MirrorPodAnnotationKey]
	return ok
}

// IsCritical reports whether the pod is never to be evicted for another's sake:
// static and mirror pods, and those of a system priority.
func IsCritical(p *corev1.Pod) bool {
	return IsStatic(p) || IsMirror(p) || Priority(p) >= SystemCriticalPriority
}

// IsNodeCritical reports whether it is critical and of the class
// system-node-critical.
func IsNodeCritical(p *corev1.Pod) bool {
	return IsCritical(p) && p.Spec.PriorityClassName == SystemNodeCritical
}

// Preemptable reports whether victim may make room for preemptor.
func Preemptable(preemptor, victim *corev1.Pod) bool {
	if IsCritical(preemptor) && !IsCritical(victim) {
		return true
	}
	return preemptor.Spec.Priority != nil && victim.Spec.Priority != nil && *preemptor.Spec.Priority > *victim.Spec.Priority
}
