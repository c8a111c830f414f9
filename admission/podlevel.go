package admission

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/component-helpers/resource"

	"github.com/lifepod/lifepod/pod"
)

// podLevelResources completes spec.resources where it says something: huge page
// limits and requests from the containers, requests from limits, and limits where
// every container has one.
func podLevelResources(p *corev1.Pod) {
	r := p.Spec.Resources
	if r == nil || len(r.Requests) == 0 && len(r.Limits) == 0 {
		return
	}
	limits := resource.AggregateContainerLimits(p, resource.PodResourcesOptions{})
	for name, q := range limits {
		_, requested := r.Requests[name]
		if isHugePages(name) && resource.IsSupportedPodLevelResource(name) && !requested {
			setMissing(&r.Limits, name, q)
		}
	}
	for name, q := range resource.AggregateContainerRequests(p, resource.PodResourcesOptions{}) {
		if resource.IsSupportedPodLevelResource(name) && !isHugePages(name) {
			setMissing(&r.Requests, name, q)
		}
	}
	for name, q := range r.Limits {
		if resource.IsSupportedPodLevelResource(name) {
			setMissing(&r.Requests, name, q)
		}
	}
	for name, request := range r.Requests {
		limit, ok := limits[name]
		if !ok || !resource.IsSupportedPodLevelResource(name) || !allLimited(&p.Spec, name) {
			continue
		}
		if request.Cmp(limit) > 0 {
			limit = request
		}
		setMissing(&r.Limits, name, limit)
	}
}

func setMissing(list *corev1.ResourceList, name corev1.ResourceName, q apiresource.Quantity) {
	if _, ok := (*list)[name]; ok {
		return
	}
	if *list == nil {
		*list = corev1.ResourceList{}
	}
	(*list)[name] = q.DeepCopy()
}

func allLimited(spec *corev1.PodSpec, name corev1.ResourceName) bool {
	for c := range pod.Containers(spec, pod.All) {
		if _, ok := c.Resources.Limits[name]; !ok {
			return false
		}
	}
	return true
}

func isHugePages(name corev1.ResourceName) bool {
	return strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// appArmorFromAnnotations copies the old annotations into the fields that
// replaced them, where those are empty and it makes a difference.
func appArmorFromAnnotations(p *corev1.Pod) {
	if len(p.Annotations) == 0 || p.Spec.OS != nil && p.Spec.OS.Name == corev1.Windows {
		return
	}
	var podProfile *corev1.AppArmorProfile
	if p.Spec.SecurityContext != nil {
		podProfile = p.Spec.SecurityContext.AppArmorProfile
	}
	for c := range pod.Containers(&p.Spec, pod.All) {
		text, ok := p.Annotations[corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix+c.Name]
		if !ok || c.SecurityContext != nil && c.SecurityContext.AppArmorProfile != nil {
			continue
		}
		profile := appArmorProfile(text)
		if profile == nil || equality.Semantic.DeepEqual(profile, podProfile) {
			continue
		}
		if c.SecurityContext == nil {
			c.SecurityContext = &corev1.SecurityContext{}
		}
		c.SecurityContext.AppArmorProfile = profile
	}
}

// appArmorProfile reads an annotation's value; nil where it is not valid.
func appArmorProfile(text string) *corev1.AppArmorProfile {
	switch text {
	case corev1.DeprecatedAppArmorBetaProfileNameUnconfined:
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}
	case corev1.DeprecatedAppArmorBetaProfileRuntimeDefault:
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeRuntimeDefault}
	}
	name, ok := strings.CutPrefix(text, corev1.DeprecatedAppArmorBetaProfileNamePrefix)
	if !ok || name == "" || len(name) > 4095 || strings.TrimSpace(name) != name {
		return nil
	}
	return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeLocalhost, LocalhostProfile: &name}
}
