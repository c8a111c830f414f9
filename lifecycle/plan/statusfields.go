package plan

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	podutil "github.com/lifepod/lifepod/pod"
)

// messageMax is what the termination messages of all containers of a pod may
// have together, in bytes.
const messageMax = 12 * 1024

func (s *state) messageLimit() int {
	n := 0
	for range podutil.Containers(&s.pod.Spec, podutil.All) {
		n++
	}
	return messageMax / max(n, 1)
}

func truncate(st *corev1.ContainerStatus, limit int) {
	for _, end := range []*corev1.ContainerStateTerminated{st.State.Terminated, st.LastTerminationState.Terminated} {
		if end != nil && len(end.Message) > limit {
			end.Message = end.Message[:limit]
		}
	}
}

// The least that a cgroup can be given, in thousandths of a CPU: what is below
// is shown as asked for.
const (
	minCPULimit   = 10
	minCPURequest = 2
)

// appliedResources are the spec's, or what the runtime says it applies to a
// running container.
func appliedResources(c *corev1.Container, inst Container) *corev1.ResourceRequirements {
	out := c.Resources.DeepCopy()
	if inst.State != Running || inst.Resources == nil {
		return out
	}
	merge := func(into, seen corev1.ResourceList, minCPU int64) {
		if into == nil {
			return
		}
		if q, ok := seen[corev1.ResourceCPU]; ok && (above(q, minCPU) || above(into[corev1.ResourceCPU], minCPU)) {
			into[corev1.ResourceCPU] = q.DeepCopy()
		}
		if q, ok := seen[corev1.ResourceMemory]; ok {
			into[corev1.ResourceMemory] = q.DeepCopy()
		}
	}
	merge(out.Limits, inst.Resources.Limits, minCPULimit)
	merge(out.Requests, inst.Resources.Requests, minCPURequest)
	return out
}

func above(q resource.Quantity, milli int64) bool { return q.MilliValue() > milli }

// volumeMounts are shown because they say whether a read-only mount is so
// recursively.
func (s *state) volumeMounts(c *corev1.Container) []corev1.VolumeMountStatus {
	var out []corev1.VolumeMountStatus
	for _, m := range c.VolumeMounts {
		st := corev1.VolumeMountStatus{Name: m.Name, MountPath: m.MountPath, ReadOnly: m.ReadOnly}
		if m.ReadOnly {
			mode := corev1.RecursiveReadOnlyDisabled
			if w := m.RecursiveReadOnly; w != nil && (*w == corev1.RecursiveReadOnlyEnabled ||
				*w == corev1.RecursiveReadOnlyIfPossible && s.in.Node.RecursiveReadOnly) {
				mode = corev1.RecursiveReadOnlyEnabled
			}
			st.RecursiveReadOnly = &mode
		}
		out = append(out, st)
	}
	return out
}
