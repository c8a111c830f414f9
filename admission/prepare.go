package admission

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/pod"
)

// PrepareForCreate makes of a mutated object what is validated and stored. A pod
// gets generation 1, the status that a new pod has and nothing else, its QoS
// class, pod-level resources, and its labels merged into selectors that ask for
// them; fields of Kubernetes features that are off in 1.37 are dropped and
// returned. Objects of other kinds lose the status that the client sent.
func PrepareForCreate(obj Object) (dropped []string) {
	switch o := obj.(type) {
	case *corev1.Pod:
		return preparePod(o)
	case *corev1.Service:
		o.Status = corev1.ServiceStatus{}
	case *corev1.Namespace:
		o.Status = corev1.NamespaceStatus{Phase: corev1.NamespaceActive}
	}
	return nil
}

func preparePod(p *corev1.Pod) (dropped []string) {
	p.Generation = 1
	p.Status = corev1.PodStatus{Phase: corev1.PodPending}
	dropped = dropDisabled(p)
	if len(p.Spec.SchedulingGates) > 0 {
		p.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, LastTransitionTime: p.CreationTimestamp,
			Reason: corev1.PodReasonSchedulingGated, Message: "Scheduling is blocked due to non-empty scheduling gates",
		}}
	}
	mergeLabelKeys(p)
	appArmorFromAnnotations(p)
	podLevelResources(p)
	p.Status.QOSClass = pod.ComputeQOS(p)
	return dropped
}

// mergeLabelKeys writes what matchLabelKeys and mismatchLabelKeys mean for this
// pod into the selectors beside them.
func mergeLabelKeys(p *corev1.Pod) {
	term := func(t *corev1.PodAffinityTerm) {
		require(t.LabelSelector, t.MatchLabelKeys, metav1.LabelSelectorOpIn, p.Labels)
		require(t.LabelSelector, t.MismatchLabelKeys, metav1.LabelSelectorOpNotIn, p.Labels)
	}
	if a := p.Spec.Affinity; a != nil && a.PodAffinity != nil {
		terms(a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution, a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution, term)
	}
	if a := p.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		terms(a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution, term)
	}
	for i := range p.Spec.TopologySpreadConstraints {
		c := &p.Spec.TopologySpreadConstraints[i]
		require(c.LabelSelector, c.MatchLabelKeys, metav1.LabelSelectorOpIn, p.Labels)
	}
}

func terms(preferred []corev1.WeightedPodAffinityTerm, required []corev1.PodAffinityTerm, do func(*corev1.PodAffinityTerm)) {
	for i := range preferred {
		do(&preferred[i].PodAffinityTerm)
	}
	for i := range required {
		do(&required[i])
	}
}

func require(s *metav1.LabelSelector, keys []string, op metav1.LabelSelectorOperator, labels map[string]string) {
	if s == nil {
		return // selects nothing, whatever is added
	}
	for _, key := range keys {
		if v, ok := labels[key]; ok {
			s.MatchExpressions = append(s.MatchExpressions, metav1.LabelSelectorRequirement{Key: key, Operator: op, Values: []string{v}})
		}
	}
}
