package plan

import (
	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// ShouldRestart says whether a container that ended with exitCode is started
// again, and by which of its own rules, if one matched: its rules come first,
// then its policy, then the pod's. A pod that is being deleted restarts nothing.
func ShouldRestart(pod *corev1.Pod, c *corev1.Container, exitCode int32) (bool, *corev1.ContainerRestartRule) {
	if pod.DeletionTimestamp != nil {
		return false, nil
	}
	return podutil.ShouldRestart(&pod.Spec, c, exitCode), podutil.MatchRestartRule(c, exitCode)
}
