package plan

import (
	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// unknownEnd is the end of a container that nobody saw.
func unknownEnd(message string) *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{Reason: "ContainerStatusUnknown", Message: message, ExitCode: 137}
}

// finish makes the last status of a pod that has given everything back: whatever
// has no known end failed, and the phase is a terminal one.
func (s *state) finish(st *corev1.PodStatus) {
	const message = "The container could not be located when the pod was terminated"
	end := func(c *corev1.ContainerStatus) {
		if c.State.Terminated == nil {
			c.State = corev1.ContainerState{Terminated: unknownEnd(message)}
		}
	}
	if s.wasInitialized(st) {
		for i := range st.ContainerStatuses {
			end(&st.ContainerStatuses[i])
		}
	}
	for i := range begun(st.InitContainerStatuses) {
		end(&st.InitContainerStatuses[i])
	}
	if !isTerminal(st.Phase) {
		st.Phase, s.mem.Phase = corev1.PodFailed, corev1.PodFailed
	}
	s.mem.Final = true
}

// wasInitialized says that regular containers could have been started: then one
// without an end is a failure.
func (s *state) wasInitialized(st *corev1.PodStatus) bool {
	inits := s.pod.Spec.InitContainers
	if len(inits) == 0 {
		return true
	}
	for _, c := range st.ContainerStatuses {
		if c.LastTerminationState.Terminated != nil || c.State.Waiting == nil {
			return true
		}
	}
	last := podutil.Status(st.InitContainerStatuses, inits[len(inits)-1].Name)
	if last == nil {
		return false
	}
	if podutil.IsSidecar(&inits[len(inits)-1]) {
		return last.State.Running != nil && last.Started != nil && *last.Started
	}
	for _, end := range []*corev1.ContainerStateTerminated{last.State.Terminated, last.LastTerminationState.Terminated} {
		if end != nil && end.ExitCode == 0 {
			return true
		}
	}
	return false
}

// begun leaves out the init containers at the end that never began; the first
// one always stays.
func begun(list []corev1.ContainerStatus) []corev1.ContainerStatus {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].State.Waiting == nil || list[i].LastTerminationState.Terminated != nil {
			return list[:i+1]
		}
	}
	return list[:min(len(list), 1)]
}
