package plan

import (
	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// restartingAllReason marks an instance that ended because the whole pod was
// restarted in place.
const restartingAllReason = "RestartingAllContainers"

// Phase is the kubelet's phase of a pod with these container statuses, in any
// order. Terminal says that nothing of the pod will be started again,
// initialized that a regular container exists in the pod's present sandbox.
func Phase(pod *corev1.Pod, statuses []corev1.ContainerStatus, terminal, initialized bool) corev1.PodPhase {
	return phase(pod, statuses, terminal, initialized, func(string) bool { return false })
}

func phase(pod *corev1.Pod, statuses []corev1.ContainerStatus, terminal, initialized bool, forced func(name string) bool) corev1.PodPhase {
	t := tally{pod: pod, forced: forced}
	for c, kind := range podutil.Containers(&pod.Spec, podutil.Main) {
		st := podutil.Status(statuses, c.Name)
		switch {
		case kind == podutil.Regular:
			t.regular(c, st)
		case podutil.IsSidecar(c):
			t.sidecar(st)
		default:
			t.init(c, st)
		}
	}
	switch {
	case t.initFailed:
		return corev1.PodFailed
	case t.initPending, t.sidecarPending && !initialized, t.waiting > 0:
		return corev1.PodPending
	case t.unknown > 0:
		return corev1.PodPending
	case t.running > 0:
		return corev1.PodRunning
	case t.stopped == 0:
		return corev1.PodPending
	case !(terminal && !podutil.IsStatic(pod)) && t.final != t.stopped:
		return corev1.PodRunning
	case t.succeeded == t.stopped:
		return corev1.PodSucceeded
	}
	return corev1.PodFailed
}

// tally counts what a phase depends on.
type tally struct {
	pod    *corev1.Pod
	forced func(string) bool

	initFailed, initPending, sidecarPending  bool
	running, waiting, unknown                int
	stopped, succeeded /* of these */, final int
}

// ended is the end that a container is at: its present one, or the last one while
// it waits.
func ended(st *corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	switch {
	case st.State.Running != nil:
		return nil
	case st.State.Terminated != nil:
		return st.State.Terminated
	case st.State.Waiting != nil:
		return st.LastTerminationState.Terminated
	}
	return nil
}

func (t *tally) again(c *corev1.Container, end *corev1.ContainerStateTerminated) bool {
	return podutil.ShouldRestart(&t.pod.Spec, c, end.ExitCode) || end.Reason == restartingAllReason || t.forced(c.Name)
}

func (t *tally) init(c *corev1.Container, st *corev1.ContainerStatus) {
	if st == nil {
		t.initPending = true
		return
	}
	switch end := ended(st); {
	case end == nil:
		t.initPending = true
	case end.ExitCode != 0 && !t.again(c, end):
		t.initFailed = true
	}
}

func (t *tally) sidecar(st *corev1.ContainerStatus) {
	switch {
	case st == nil:
		t.unknown++
	case st.State.Running != nil:
		t.running++
		if st.Started == nil || !*st.Started {
			t.sidecarPending = true
		}
	case ended(st) != nil:
	case st.State.Waiting != nil:
		t.sidecarPending = true
		t.waiting++
	default:
		t.sidecarPending = true
		t.unknown++
	}
}

func (t *tally) regular(c *corev1.Container, st *corev1.ContainerStatus) {
	if st == nil {
		t.unknown++
		return
	}
	switch end := ended(st); {
	case st.State.Running != nil:
		t.running++
	case end != nil:
		t.stopped++
		if !t.again(c, end) {
			t.final++
		}
		if st.State.Terminated != nil && end.ExitCode == 0 {
			t.succeeded++
		}
	case st.State.Waiting != nil:
		t.waiting++
	default:
		t.unknown++
	}
}
