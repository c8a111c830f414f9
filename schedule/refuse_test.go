package schedule_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/schedule"
)

func TestRefused(t *testing.T) {
	term := corev1.PodAffinityTerm{TopologyKey: "zone"}
	for want, p := range map[string]corev1.PodSpec{
		"": {Affinity: &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{PodAffinityTerm: term}},
		}}},
		"spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution": {Affinity: &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term},
		}}},
		"spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution": {Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term},
		}}},
		"spec.topologySpreadConstraints[1]": {TopologySpreadConstraints: []corev1.TopologySpreadConstraint{
			{WhenUnsatisfiable: corev1.ScheduleAnyway}, {WhenUnsatisfiable: corev1.DoNotSchedule},
		}},
		"spec.schedulingGates": {SchedulingGates: []corev1.PodSchedulingGate{{Name: "g"}}},
	} {
		got := ""
		for _, e := range schedule.Refused(&corev1.Pod{Spec: p}) {
			got += e.Field
		}
		if got != want {
			t.Errorf("refused %q, want %q", got, want)
		}
	}
}
