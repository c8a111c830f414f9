package validation

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/component-helpers/resource"
)

// standardResources are names without a domain that mean something somewhere.
var standardResources = []corev1.ResourceName{
	corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage, corev1.ResourceStorage,
	corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsEphemeralStorage, corev1.ResourceRequestsStorage,
	corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage,
	corev1.ResourcePods, corev1.ResourceQuotas, corev1.ResourceServices, corev1.ResourceReplicationControllers, corev1.ResourceSecrets,
	corev1.ResourceConfigMaps, corev1.ResourcePersistentVolumeClaims, corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers,
}

// countedResources come in whole numbers.
var countedResources = []corev1.ResourceName{
	corev1.ResourcePods, corev1.ResourceQuotas, corev1.ResourceServices, corev1.ResourceReplicationControllers, corev1.ResourceSecrets,
	corev1.ResourceConfigMaps, corev1.ResourcePersistentVolumeClaims, corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers,
}

func isHugePages(name corev1.ResourceName) bool {
	return strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// isNative: without a domain, or with one of Kubernetes'.
func isNative(name corev1.ResourceName) bool {
	return !strings.Contains(string(name), "/") || strings.Contains(string(name), corev1.ResourceDefaultNamespacePrefix)
}

func isExtended(name corev1.ResourceName) bool {
	return !isNative(name) && !strings.HasPrefix(string(name), corev1.DefaultResourceRequestsPrefix) &&
		len(validation.IsQualifiedName(corev1.DefaultResourceRequestsPrefix+string(name))) == 0
}

// mayOvercommit: requests may be below limits.
func mayOvercommit(name corev1.ResourceName) bool { return isNative(name) && !isHugePages(name) }

// resourceName checks a name for any place, and reports whether it is one.
func (r *report) resourceName(at *field.Path, name corev1.ResourceName) bool {
	if msgs := validation.IsQualifiedName(string(name)); len(msgs) > 0 {
		r.each(at, name, msgs)
		return false
	}
	standard := slices.Contains(standardResources, name) || isHugePages(name) ||
		strings.HasPrefix(string(name), corev1.ResourceRequestsHugePagesPrefix)
	if !strings.Contains(string(name), "/") && !standard {
		r.invalid(at, name, "must be a standard resource type or fully qualified")
		return false
	}
	return true
}

func containerResource(r *report, at *field.Path, name corev1.ResourceName) {
	r.resourceName(at, name)
	switch {
	case !strings.Contains(string(name), "/"):
		if name != corev1.ResourceCPU && name != corev1.ResourceMemory && name != corev1.ResourceEphemeralStorage && !isHugePages(name) {
			r.invalid(at, name, "must be a standard resource for containers")
		}
	case !isNative(name) && !isExtended(name):
		r.invalid(at, name, "doesn't follow extended resource name standard")
	}
}

func podResource(r *report, at *field.Path, name corev1.ResourceName) {
	if r.resourceName(at, name) && !resource.IsSupportedPodLevelResource(name) {
		r.add(field.NotSupported(at, name, []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceHugePagesPrefix, corev1.ResourceMemory}))
	}
}

type nameCheck func(r *report, at *field.Path, name corev1.ResourceName)

// requirements checks requests against limits, and both for themselves.
func (c *podCheck) requirements(at *field.Path, r *corev1.ResourceRequirements, name nameCheck) {
	limits, requests := at.Child("limits"), at.Child("requests")
	computes, huge := false, false
	note := func(at *field.Path, n corev1.ResourceName, q apiresource.Quantity) {
		name(&c.report, at, n)
		c.quantity(at, n, q)
		computes = computes || n == corev1.ResourceCPU || n == corev1.ResourceMemory
		huge = huge || isHugePages(n)
	}
	for n, q := range r.Limits {
		note(limits.Key(string(n)), n, q)
	}
	for n, q := range r.Requests {
		note(requests.Key(string(n)), n, q)
		limit, limited := r.Limits[n]
		switch {
		case !limited && !mayOvercommit(n):
			c.required(limits, "Limit must be set for non overcommitable resources")
		case limited && !mayOvercommit(n) && q.Cmp(limit) != 0:
			c.invalid(requests, q.String(), sprintf("must be equal to %s limit of %s", n, limit.String()))
		case limited && q.Cmp(limit) > 0:
			c.invalid(requests, q.String(), sprintf("must be less than or equal to %s limit of %s", n, limit.String()))
		}
	}
	if huge && !computes {
		c.forbidden(at, "HugePages require cpu or memory")
	}
	c.usedClaims(at.Child("claims"), r.Claims)
}

func (c *podCheck) quantity(at *field.Path, name corev1.ResourceName, q apiresource.Quantity) {
	if q.Sign() < 0 {
		c.invalid(at, q.String(), apivalidation.IsNegativeErrorMsg)
	}
	if (slices.Contains(countedResources, name) || isExtended(name)) && q.MilliValue()%1000 != 0 {
		c.invalid(at, q, "must be an integer")
	}
	if isHugePages(name) && !wholePages(name, q) {
		c.invalid(at, q.String(), sprintf("%s is not positive integer multiple of %s", q.String(), name))
	}
}

// wholePages reports whether q is a multiple of the page size in the name.
func wholePages(name corev1.ResourceName, q apiresource.Quantity) bool {
	size, err := apiresource.ParseQuantity(strings.TrimPrefix(string(name), corev1.ResourceHugePagesPrefix))
	if err != nil || size.Sign() <= 0 || size.MilliValue()%1000 != 0 {
		return false
	}
	return q.Value()%size.Value() == 0
}

// podResources checks spec.resources, for itself and against the containers.
func (c *podCheck) podResources(at *field.Path) {
	r := c.spec.Resources
	switch {
	case r == nil:
		return
	case c.spec.OS != nil && c.spec.OS.Name == corev1.Windows:
		c.forbidden(at, "may not be set for a windows pod")
		return
	}
	if r.Claims != nil {
		c.forbidden(at.Child("claims"), "claims may not be set for Resources at pod-level")
	}
	c.requirements(at, r, podResource)
	for n, sum := range resource.AggregateContainerRequests(c.pod, resource.PodResourcesOptions{}) {
		if q, ok := r.Requests[n]; ok && sum.Cmp(q) > 0 {
			c.invalid(at.Child("requests").Key(string(n)), q.String(), sprintf("must be greater than or equal to aggregate container requests of %s", sum.String()))
		}
	}
	for n, sum := range resource.AggregateContainerLimits(c.pod, resource.PodResourcesOptions{}) {
		if q, ok := r.Limits[n]; ok && isHugePages(n) && sum.Cmp(q) > 0 {
			c.invalid(at.Child("limits").Key(string(n)), q.String(), sprintf("must be greater than or equal to aggregate container limits of %s", sum.String()))
		}
	}
	for i := range c.spec.Containers {
		for n, q := range c.spec.Containers[i].Resources.Limits {
			if limit, ok := r.Limits[n]; ok && q.Cmp(limit) > 0 {
				c.invalid(at.Child("containers").Index(i).Key(string(n)).Child("limits"), q.String(),
					sprintf("must be less than or equal to pod limits of %s", limit.String()))
			}
		}
	}
}

// resourceClaims checks the pod's claims of devices and notes their names.
func (c *podCheck) resourceClaims(at *field.Path) {
	for i, claim := range c.spec.ResourceClaims {
		here := at.Index(i)
		if _, mirror := c.pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
			c.forbidden(field.NewPath(""), "static pods do not support resource claims")
			if claim.Name != "" {
				c.claims[claim.Name] = true
			}
			continue
		}
		if c.need(here.Child("name"), claim.Name) {
			if c.claims.again(claim.Name) {
				c.add(field.Duplicate(here.Child("name"), claim.Name))
			} else {
				c.label(here.Child("name"), claim.Name)
			}
		}
		name, template := claim.ResourceClaimName, claim.ResourceClaimTemplateName
		switch {
		case name != nil && template != nil:
			c.invalid(here, claim, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified")
		case name == nil && template == nil:
			c.invalid(here, claim, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")
		}
		if name != nil {
			c.subdomain(here.Child("resourceClaimName"), *name)
		}
		if template != nil {
			c.subdomain(here.Child("resourceClaimTemplateName"), *template)
		}
	}
}

// usedClaims checks a container's claims against the pod's.
func (c *podCheck) usedClaims(at *field.Path, claims []corev1.ResourceClaim) {
	whole, used := unique{}, unique{} // claims as a whole, and anything of them
	parts := unique{}
	for i, claim := range claims {
		here := at.Index(i)
		if !c.need(here, claim.Name) {
			continue
		}
		key := claim.Name + "/" + claim.Request
		switch {
		case whole[claim.Name]:
			c.add(field.Duplicate(here, claim.Name))
		case claim.Request == "" && used[claim.Name]:
			c.add(field.Duplicate(here, claim.Name))
		case claim.Request != "":
			c.label(here.Child("request"), claim.Request)
			if parts.again(key) {
				c.add(field.Duplicate(here, key))
			}
		}
		whole[claim.Name] = whole[claim.Name] || claim.Request == ""
		used[claim.Name] = true
		if !c.claims[claim.Name] {
			err := field.NotFound(here, claim.Name)
			err.Detail = "must be one of the names in pod.spec.resourceClaims" + c.claimNames()
			c.add(err)
		}
	}
}

func (c *podCheck) claimNames() string {
	if len(c.claims) == 0 {
		return " which is empty"
	}
	var names []string
	for name := range c.claims {
		names = append(names, name)
	}
	slices.Sort(names)
	return ": " + strings.Join(names, ", ")
}
