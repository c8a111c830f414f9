package plan

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

func newCondition(pod *corev1.Pod, t corev1.PodConditionType, status bool, reason, message string) corev1.PodCondition {
	c := corev1.PodCondition{Type: t, ObservedGeneration: pod.Generation, Status: corev1.ConditionFalse, Reason: reason, Message: message}
	if status {
		c.Status = corev1.ConditionTrue
	}
	return c
}

// sorted out: names of containers without a status, and of those whose status is
// not what it should be.
type findings struct{ unknown, wrong []string }

func (f findings) message(wrong string) string {
	var parts []string
	if len(f.unknown) > 0 {
		parts = append(parts, fmt.Sprintf("containers with unknown status: %s", f.unknown))
	}
	if len(f.wrong) > 0 {
		parts = append(parts, fmt.Sprintf("containers with %s status: %s", wrong, f.wrong))
	}
	return strings.Join(parts, ", ")
}

func (f *findings) add(c *corev1.Container, statuses []corev1.ContainerStatus, fine func(*corev1.ContainerStatus) bool) {
	switch st := podutil.Status(statuses, c.Name); {
	case st == nil:
		f.unknown = append(f.unknown, c.Name)
	case !fine(st):
		f.wrong = append(f.wrong, c.Name)
	}
}

// InitializedCondition says whether all init containers are done and all sidecars
// were started. old is the status before; statuses, in any order, those of all
// containers. Times are not set.
func InitializedCondition(pod *corev1.Pod, old *corev1.PodStatus, statuses []corev1.ContainerStatus, phase corev1.PodPhase) corev1.PodCondition {
	const t = corev1.PodInitialized
	if statuses == nil && len(pod.Spec.InitContainers) > 0 {
		return newCondition(pod, t, false, "UnknownContainerStatuses", "")
	}
	var f findings
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		f.add(c, statuses, func(st *corev1.ContainerStatus) bool {
			if podutil.IsSidecar(c) {
				return st.Started != nil && *st.Started
			}
			return st.Ready
		})
	}
	was := podutil.Condition(old, t)
	switch message := f.message("incomplete"); {
	case phase == corev1.PodSucceeded && len(f.unknown) == 0:
		return newCondition(pod, t, true, "PodCompleted", "")
	case message != "" && !anyRegularStarted(pod, statuses) && (was == nil || was.Status != corev1.ConditionTrue):
		return newCondition(pod, t, false, "ContainersNotInitialized", message)
	}
	return newCondition(pod, t, true, "", "")
}

func anyRegularStarted(pod *corev1.Pod, statuses []corev1.ContainerStatus) bool {
	for i := range pod.Spec.Containers {
		if st := podutil.Status(statuses, pod.Spec.Containers[i].Name); st != nil && (st.State.Running != nil || st.State.Terminated != nil) {
			return true
		}
	}
	return false
}

// ContainersReadyCondition says whether all regular containers and sidecars are
// ready.
func ContainersReadyCondition(pod *corev1.Pod, statuses []corev1.ContainerStatus, phase corev1.PodPhase) corev1.PodCondition {
	return containersReady(pod, corev1.ContainersReady, statuses, phase)
}

func containersReady(pod *corev1.Pod, t corev1.PodConditionType, statuses []corev1.ContainerStatus, phase corev1.PodPhase) corev1.PodCondition {
	if statuses == nil {
		return newCondition(pod, t, false, "UnknownContainerStatuses", "")
	}
	var f findings
	for c, kind := range podutil.Containers(&pod.Spec, podutil.Main) {
		if kind == podutil.Regular || podutil.IsSidecar(c) {
			f.add(c, statuses, func(st *corev1.ContainerStatus) bool { return st.Ready })
		}
	}
	switch message := f.message("unready"); {
	case phase == corev1.PodSucceeded && len(f.unknown) == 0:
		return newCondition(pod, t, false, "PodCompleted", "")
	case phase == corev1.PodFailed:
		return newCondition(pod, t, false, "PodFailed", "")
	case message != "":
		return newCondition(pod, t, false, "ContainersNotReady", message)
	}
	return newCondition(pod, t, true, "", "")
}

// ReadyCondition is ContainersReady and all readiness gates; conditions are
// searched for the gates.
func ReadyCondition(pod *corev1.Pod, conditions []corev1.PodCondition, statuses []corev1.ContainerStatus, phase corev1.PodPhase) corev1.PodCondition {
	ready := containersReady(pod, corev1.PodReady, statuses, phase)
	if ready.Status != corev1.ConditionTrue {
		return ready
	}
	var missing []string
	for _, g := range pod.Spec.ReadinessGates {
		c := podutil.Condition(&corev1.PodStatus{Conditions: conditions}, g.ConditionType)
		switch {
		case c == nil:
			missing = append(missing, fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist.", string(g.ConditionType)))
		case c.Status != corev1.ConditionTrue:
			missing = append(missing, fmt.Sprintf("the status of pod readiness gate %q is not \"True\", but %v", string(g.ConditionType), c.Status))
		}
	}
	if len(missing) > 0 {
		return newCondition(pod, corev1.PodReady, false, "ReadinessGatesNotReady", strings.Join(missing, ", "))
	}
	return ready
}

// sandboxCondition says whether there is a sandbox to start containers in.
func sandboxCondition(pod *corev1.Pod, boxes []Sandbox) corev1.PodCondition {
	if change := changeOfSandbox(pod, boxes); change.needed {
		return newCondition(pod, corev1.PodReadyToStartContainers, false, "PodSandboxNotReady", change.message)
	}
	return newCondition(pod, corev1.PodReadyToStartContainers, true, "", "")
}

// sandboxCondition is that of the pod now. A pod that is over keeps the one that
// it ended with, though its sandbox is being removed.
func (s *state) sandboxCondition() corev1.PodCondition {
	now := sandboxCondition(s.pod, s.boxes)
	was := podutil.Condition(s.old(), corev1.PodReadyToStartContainers)
	if s.mem.Stage == Terminated && len(s.boxes) == 0 && was != nil && was.Status == corev1.ConditionFalse {
		now.Reason, now.Message = was.Reason, was.Message
	}
	return now
}

// restartingAllCondition is shown by pods that have a rule to restart all.
func (s *state) restartingAllCondition(phase corev1.PodPhase) corev1.PodCondition {
	c := corev1.PodCondition{Type: corev1.AllContainersRestarting, Status: corev1.ConditionFalse}
	switch {
	case phase == corev1.PodSucceeded:
		c.Reason = "PodCompleted"
	case phase == corev1.PodFailed:
		c.Reason = "PodFailed"
	case s.restartingAll():
		c.Status, c.Reason, c.Message = corev1.ConditionTrue, "RestartAllContainersStarted", "container exited with restart policy rule"
	}
	return c
}
