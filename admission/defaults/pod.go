package defaults

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/pod"
)

// Pod sets a pod's defaults.
func Pod(p *corev1.Pod) {
	spec := &p.Spec
	if g := spec.TerminationGracePeriodSeconds; g != nil && *g < 0 {
		*g = 1
	}
	for c := range pod.Containers(spec, pod.Main) {
		requestsFromLimits(&c.Resources)
	}
	orNew(&spec.EnableServiceLinks, corev1.DefaultEnableServiceLinks)
	if spec.HostNetwork {
		for c := range pod.Containers(spec, pod.Main) {
			for i := range c.Ports {
				orDefault(&c.Ports[i].HostPort, c.Ports[i].ContainerPort)
			}
		}
	}
	podSpec(spec)
	for i := range spec.Volumes {
		volume(&spec.Volumes[i])
	}
	for c := range pod.Containers(spec, pod.All) {
		container(c)
	}
	resources(spec.Overhead)
	if r := spec.Resources; r != nil {
		resources(r.Limits)
		resources(r.Requests)
	}
	podStatus(&p.Status)
}

func podSpec(spec *corev1.PodSpec) {
	orDefault(&spec.ServiceAccountName, spec.DeprecatedServiceAccount)
	spec.DeprecatedServiceAccount = spec.ServiceAccountName
	orDefault(&spec.DNSPolicy, corev1.DNSClusterFirst)
	orDefault(&spec.RestartPolicy, corev1.RestartPolicyAlways)
	orNew(&spec.SecurityContext, corev1.PodSecurityContext{})
	orNew(&spec.TerminationGracePeriodSeconds, int64(corev1.DefaultTerminationGracePeriodSeconds))
	orDefault(&spec.SchedulerName, corev1.DefaultSchedulerName)
}

// requestsFromLimits makes the request of each resource that has only a limit.
func requestsFromLimits(r *corev1.ResourceRequirements) {
	if r.Limits == nil {
		return
	}
	if r.Requests == nil {
		r.Requests = corev1.ResourceList{}
	}
	for name, limit := range r.Limits {
		if _, ok := r.Requests[name]; !ok {
			r.Requests[name] = limit.DeepCopy()
		}
	}
}

// milli is the finest scale of a stored quantity.
const milli = -3

// resources rounds quantities up to thousandths.
func resources(list corev1.ResourceList) {
	for name, q := range list {
		q.RoundUp(milli)
		list[name] = q
	}
}

// podStatus keeps podIP and podIPs in step; podIP wins.
func podStatus(s *corev1.PodStatus) {
	switch {
	case s.PodIP != "" && (len(s.PodIPs) == 0 || s.PodIPs[0].IP != s.PodIP):
		s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
	case s.PodIP == "" && len(s.PodIPs) > 0:
		s.PodIP = s.PodIPs[0].IP
	}
	for i := range s.InitContainerStatuses {
		containerStatus(&s.InitContainerStatuses[i])
	}
	for i := range s.ContainerStatuses {
		containerStatus(&s.ContainerStatuses[i])
	}
	for i := range s.EphemeralContainerStatuses {
		containerStatus(&s.EphemeralContainerStatuses[i])
	}
	resources(s.AllocatedResources)
	if s.Resources != nil {
		resources(s.Resources.Limits)
		resources(s.Resources.Requests)
	}
}

func containerStatus(s *corev1.ContainerStatus) {
	resources(s.AllocatedResources)
	if s.Resources != nil {
		resources(s.Resources.Limits)
		resources(s.Resources.Requests)
	}
}
