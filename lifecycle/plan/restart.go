package plan

import (
	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// ShouldRestart says whether a container that ended with exitCode is started
// again, and which of its own rules matched, if one did: its rules come first,
// then its policy, then the pod's. A pod that is being deleted restarts nothing.
func ShouldRestart(pod *corev1.Pod, c *corev1.Container, exitCode int32) (bool, *corev1.ContainerRestartRule) {
	again := pod.DeletionTimestamp == nil && podutil.ShouldRestart(&pod.Spec, c, exitCode)
	return again, podutil.MatchRestartRule(c, exitCode)
}
