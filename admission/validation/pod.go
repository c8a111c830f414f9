package validation

import (
	"iter"
	"math"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/lifepod/lifepod/pod"
)

// podCheck is the validation of one pod: what its parts need to know of the whole.
type podCheck struct {
	report
	pod  *corev1.Pod
	spec *corev1.PodSpec
	// volumes are those that are sound: mounts of others are "not found".
	volumes map[string]*corev1.VolumeSource
	claims  unique
}

// Pod validates a new pod, defaulted and prepared.
func Pod(p *corev1.Pod) field.ErrorList {
	c := &podCheck{pod: p, spec: &p.Spec, volumes: map[string]*corev1.VolumeSource{}, claims: unique{}}
	at := field.NewPath("spec")
	c.metadata()
	c.checkVolumes(at.Child("volumes"))
	c.resourceClaims(at.Child("resourceClaims"))
	c.containers(at)
	c.podResources(at.Child("resources"))
	c.network(at)
	c.identity(at)
	c.podSecurity(at)
	c.annotatedProfiles(at)
	c.placement(at)
	c.lifetime(at)
	c.windows(at)
	c.operatingSystem(at)
	return c.errs
}

// metadata checks names, labels, owners, and annotations with a meaning.
func (c *podCheck) metadata() {
	at := field.NewPath("metadata")
	c.add(meta(c.pod, true, apivalidation.NameIsDNSSubdomain)...)
	for i, f := range c.pod.Finalizers {
		standard := f == string(corev1.FinalizerKubernetes) || f == metav1.FinalizerOrphanDependents || f == metav1.FinalizerDeleteDependents
		if !strings.Contains(f, "/") && !standard {
			c.invalid(at.Child("finalizers").Index(i), f, "name is neither a standard finalizer name nor is it fully qualified")
		}
	}
	at = at.Child("annotations")
	if v, ok := c.pod.Annotations[corev1.MirrorPodAnnotationKey]; ok && c.spec.NodeName == "" {
		c.invalid(at.Key(corev1.MirrorPodAnnotationKey), v, "must set spec.nodeName if mirror pod annotation is set")
	}
	c.annotatedTolerations(at)
	if v, ok := c.pod.Annotations[corev1.PodDeletionCost]; ok && !isDeletionCost(v) {
		c.invalid(at.Key(corev1.PodDeletionCost), v, "must be a 32bit integer")
	}
}

// isDeletionCost: a number of 32 bits without plus sign or leading zeros.
func isDeletionCost(v string) bool {
	_, err := strconv.ParseInt(v, 10, 32)
	return err == nil && v[0] != '+' && (v == "0" || v[0] != '0')
}

// all yields every container with its path.
func (c *podCheck) all(at *field.Path) iter.Seq2[*field.Path, *corev1.Container] {
	names := map[pod.Kind]string{pod.Init: "initContainers", pod.Regular: "containers", pod.Ephemeral: "ephemeralContainers"}
	return func(yield func(*field.Path, *corev1.Container) bool) {
		n := map[pod.Kind]int{}
		for ctr, kind := range pod.Containers(c.spec, pod.All) {
			if !yield(at.Child(names[kind]).Index(n[kind]), ctr) {
				return
			}
			n[kind]++
		}
	}
}

// identity checks names that the pod has or refers to.
func (c *podCheck) identity(at *field.Path) {
	s := c.spec
	for _, ref := range []struct {
		field, name string
		check       func(string) []string
	}{
		{"serviceAccountName", s.ServiceAccountName, validation.IsDNS1123Subdomain},
		{"nodeName", s.NodeName, validation.IsDNS1123Subdomain},
		{"hostname", s.Hostname, validation.IsDNS1123Label},
		{"subdomain", s.Subdomain, validation.IsDNS1123Label},
		{"priorityClassName", s.PriorityClassName, validation.IsDNS1123Subdomain},
	} {
		if ref.name != "" {
			c.each(at.Child(ref.field), ref.name, ref.check(ref.name))
		}
	}
	if s.RuntimeClassName != nil {
		c.subdomain(at.Child("runtimeClassName"), *s.RuntimeClassName)
	}
	if s.DeprecatedServiceAccount != s.ServiceAccountName {
		c.invalid(at.Child("deprecatedServiceAccount"), s.DeprecatedServiceAccount,
			sprintf("must be the same as serviceAccountName: %q", s.ServiceAccountName))
	}
	if name := s.HostnameOverride; name != nil {
		here := at.Child("hostnameOverride")
		if s.SetHostnameAsFQDN != nil && *s.SetHostnameAsFQDN {
			c.forbidden(here, "may not be specified when setHostnameAsFQDN is true")
		}
		if s.HostNetwork {
			c.forbidden(here, "may not be specified when hostNetwork is true")
		}
		if len(*name) > 64 {
			c.add(field.TooLong(here, "", 64))
		}
		c.subdomain(here, *name)
	}
}

// lifetime checks how long a pod lives, what restarts it, when it is ready.
func (c *podCheck) lifetime(at *field.Path) {
	s := c.spec
	needOneOf(&c.report, at.Child("restartPolicy"), s.RestartPolicy,
		corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)
	if g := s.TerminationGracePeriodSeconds; g == nil {
		c.required(at.Child("terminationGracePeriodSeconds"), "")
	} else {
		c.nonNegative(at.Child("terminationGracePeriodSeconds"), *g)
	}
	if d := s.ActiveDeadlineSeconds; d != nil {
		c.between(at.Child("activeDeadlineSeconds"), *d, 1, math.MaxInt32)
	}
	for i, g := range s.ReadinessGates {
		c.qualified(at.Child("readinessGates").Index(i).Child("conditionType"), string(g.ConditionType))
	}
	seen := unique{}
	for i, g := range s.SchedulingGates {
		here := at.Child("schedulingGates").Index(i)
		c.qualified(here, g.Name)
		if seen.again(g.Name) {
			c.add(field.Duplicate(here, g.Name))
		}
	}
	if s.NodeName != "" && len(s.SchedulingGates) > 0 {
		c.forbidden(at.Child("nodeName"), "cannot be set until all schedulingGates have been cleared")
	}
	if p := s.PreemptionPolicy; p != nil {
		needOneOf(&c.report, at.Child("preemptionPolicy"), *p, corev1.PreemptLowerPriority, corev1.PreemptNever)
	}
	c.requirements(at.Child("overhead"), &corev1.ResourceRequirements{Limits: s.Overhead}, containerResource)
	c.add(metav1validation.ValidateLabels(s.NodeSelector, at.Child("nodeSelector"))...)
}
