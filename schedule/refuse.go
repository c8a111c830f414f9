package schedule

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Refused names the fields of a pod that no plugin of this package honours, and
// that would change its place if one did: a program that schedules with it
// refuses them at admission. Preferences are not refused: they never keep a pod
// from a node.
func Refused(p *corev1.Pod) field.ErrorList {
	var errs field.ErrorList
	spec := field.NewPath("spec")
	refuse := func(at *field.Path, what string) {
		errs = append(errs, field.Forbidden(at, what+" is not supported by this scheduler; remove it"))
	}
	if a := p.Spec.Affinity; a != nil {
		if a.PodAffinity != nil && len(a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0 {
			refuse(spec.Child("affinity", "podAffinity", "requiredDuringSchedulingIgnoredDuringExecution"), "affinity to pods")
		}
		if a.PodAntiAffinity != nil && len(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0 {
			refuse(spec.Child("affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution"), "anti-affinity to pods")
		}
	}
	for i, c := range p.Spec.TopologySpreadConstraints {
		if c.WhenUnsatisfiable == corev1.DoNotSchedule {
			refuse(spec.Child("topologySpreadConstraints").Index(i), "a topology spread that must be kept")
		}
	}
	if len(p.Spec.SchedulingGates) > 0 {
		refuse(spec.Child("schedulingGates"), "waiting for a gate")
	}
	return errs
}
