package pod

import corev1 "k8s.io/api/core/v1"

// QOS returns the pod's quality of service class: the one in its status, which
// is set at creation and kept for life, or else [ComputeQOS].
func QOS(p *corev1.Pod) corev1.PodQOSClass {
	if p.Status.QOSClass != "" {
		return p.Status.QOSClass
	}
	return ComputeQOS(p)
}

// ComputeQOS works the class out from cpu and memory in the spec: of the pod's
// own resources if it has any, else of init and regular containers. It is
// Guaranteed when each of them has equal requests and limits for both,
// BestEffort when none has any, Burstable otherwise.
func ComputeQOS(p *corev1.Pod) corev1.PodQOSClass {
	if HasPodLevelResources(p) {
		return requirementsQOS(p.Spec.Resources)
	}
	class := corev1.PodQOSClass("")
	for c := range Containers(&p.Spec, Main) {
		if class = both(class, requirementsQOS(&c.Resources)); class == corev1.PodQOSBurstable {
			break
		}
	}
	if class == "" {
		return corev1.PodQOSBestEffort
	}
	return class
}

// both joins the classes of two parts; an unknown first one does not count.
func both(a, b corev1.PodQOSClass) corev1.PodQOSClass {
	if a == "" || a == b {
		return b
	}
	return corev1.PodQOSBurstable
}

func requirementsQOS(r *corev1.ResourceRequirements) corev1.PodQOSClass {
	return both(resourceQOS(r, corev1.ResourceCPU), resourceQOS(r, corev1.ResourceMemory))
}

func resourceQOS(r *corev1.ResourceRequirements, name corev1.ResourceName) corev1.PodQOSClass {
	request, limit := r.Requests[name], r.Limits[name]
	switch {
	case !request.Equal(limit):
		return corev1.PodQOSBurstable
	case request.IsZero():
		return corev1.PodQOSBestEffort
	}
	return corev1.PodQOSGuaranteed
}
