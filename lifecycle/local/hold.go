package local

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/pod"
)

// OnHold names the fields of the pod that nobody acts on while no process drives
// it: a program that is about to leave the pod alone can say so.
func (h *Handle) OnHold() []string {
	p := h.Pod()
	var fields []string
	if p.Spec.RestartPolicy != corev1.RestartPolicyNever {
		fields = append(fields, "spec.restartPolicy "+string(p.Spec.RestartPolicy))
	}
	if p.Spec.ActiveDeadlineSeconds != nil {
		fields = append(fields, "spec.activeDeadlineSeconds")
	}
	for c := range pod.Containers(&p.Spec, pod.All) {
		for name, probe := range map[string]*corev1.Probe{
			"livenessProbe": c.LivenessProbe, "readinessProbe": c.ReadinessProbe, "startupProbe": c.StartupProbe,
		} {
			if probe != nil {
				fields = append(fields, c.Name+"."+name)
			}
		}
	}
	slices.Sort(fields)
	return fields
}
