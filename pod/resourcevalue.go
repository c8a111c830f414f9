package pod

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// EnvResourceValue returns what an environment variable's resourceFieldRef
// stands for in container c. Where the container has no limit for cpu, memory or
// ephemeral storage, the pod's own counts, and else what the node can give.
func EnvResourceValue(p *corev1.Pod, c *corev1.Container, ref *corev1.ResourceFieldSelector, allocatable corev1.ResourceList) (string, error) {
	atMost := func(name corev1.ResourceName) resource.Quantity {
		q, known := allocatable[name]
		if pod := podLevelLimit(p, name); known && !pod.IsZero() && (name == corev1.ResourceCPU || name == corev1.ResourceMemory) {
			return pod
		}
		return q
	}
	if ref.ContainerName == "" {
		return resourceValue(c, ref, atMost)
	}
	c, kind := Find(&p.Spec, ref.ContainerName)
	switch kind {
	case Regular:
		return resourceValue(c, ref, atMost)
	case Init: // of another container only a regular one's limits are filled in
		return resourceValue(c, ref, func(corev1.ResourceName) resource.Quantity { return resource.Quantity{} })
	}
	return "", fmt.Errorf("container %s not found", ref.ContainerName)
}

// VolumeResourceValue returns what a downward API volume's resourceFieldRef
// stands for; without a limit the node's allocatable counts.
func VolumeResourceValue(p *corev1.Pod, ref *corev1.ResourceFieldSelector, allocatable corev1.ResourceList) (string, error) {
	c, kind := Find(&p.Spec, ref.ContainerName)
	if kind&Main == 0 {
		return "", fmt.Errorf("container %s not found", ref.ContainerName)
	}
	return resourceValue(c, ref, func(name corev1.ResourceName) resource.Quantity { return allocatable[name] })
}

// resourceValue resolves ref in c; atMost stands in for limits that are not set.
func resourceValue(c *corev1.Container, ref *corev1.ResourceFieldSelector, atMost func(corev1.ResourceName) resource.Quantity) (string, error) {
	kind, rest, _ := strings.Cut(ref.Resource, ".")
	name := corev1.ResourceName(rest)
	common := name == corev1.ResourceCPU || name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage
	if !common && !strings.HasPrefix(rest, corev1.ResourceHugePagesPrefix) {
		return "", unsupportedResource(ref)
	}
	var q resource.Quantity
	switch kind {
	case "requests":
		q = c.Resources.Requests[name]
	case "limits":
		if q = c.Resources.Limits[name]; q.IsZero() && common {
			q = atMost(name)
		}
	default:
		return "", unsupportedResource(ref)
	}
	return divide(q, ref.Divisor, name == corev1.ResourceCPU), nil
}

func unsupportedResource(ref *corev1.ResourceFieldSelector) error {
	return fmt.Errorf("unsupported container resource : %v", ref.Resource)
}

// divide rounds up, in thousandths for cpu. No divisor means 1.
func divide(q, divisor resource.Quantity, milli bool) string {
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	value := (*resource.Quantity).Value
	if milli {
		value = (*resource.Quantity).MilliValue
	}
	return strconv.FormatInt(int64(math.Ceil(float64(value(&q))/float64(value(&divisor)))), 10)
}
