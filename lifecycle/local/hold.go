package local

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/pod"
)

// OnHold names the fields of the pod that nobody acts on while no process drives
// it, in the order of their names: a program that is about to leave the pod alone
// can say so.
func (h *Handle) OnHold() []string { return onHold(&h.Pod().Spec) }

func onHold(s *corev1.PodSpec) []string {
	var fields []string
	if s.RestartPolicy != corev1.RestartPolicyNever {
		fields = append(fields, "spec.restartPolicy "+string(s.RestartPolicy))
	}
	if s.ActiveDeadlineSeconds != nil {
		fields = append(fields, "spec.activeDeadlineSeconds")
	}
	for c := range pod.Containers(s, pod.All) {
		if p := c.RestartPolicy; p != nil && *p != corev1.ContainerRestartPolicyNever {
			fields = append(fields, c.Name+".restartPolicy "+string(*p))
		}
		for name, set := range map[string]bool{
			"livenessProbe": c.LivenessProbe != nil, "readinessProbe": c.ReadinessProbe != nil, "startupProbe": c.StartupProbe != nil,
			"restartPolicyRules": len(c.RestartPolicyRules) > 0,
		} {
			if set {
				fields = append(fields, c.Name+"."+name)
			}
		}
	}
	slices.Sort(fields)
	return fields
}
