// Package fakes shows the unit test of someone's controller on
// lifecycle/lifecycletest: pods that live and die in memory, in simulated time.
package fakes

import corev1 "k8s.io/api/core/v1"

// Verdict is what a controller of batch jobs concludes from a pod's status.
func Verdict(s corev1.PodStatus) string {
	switch {
	case s.Phase == corev1.PodSucceeded:
		return "done"
	case s.Phase == corev1.PodFailed:
		return "failed"
	case len(s.ContainerStatuses) > 0 && s.ContainerStatuses[0].RestartCount >= 3:
		return "give up"
	}
	return "wait"
}
