package downward

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	helper "k8s.io/component-helpers/resource"
)

// VolumeResource is what a downward API file holds for ref: the container is
// found by name, and a cpu, memory or ephemeral-storage limit that it does not
// set is the node's allocatable amount.
func VolumeResource(ref *corev1.ResourceFieldSelector, pod *corev1.Pod, allocatable corev1.ResourceList) (string, error) {
	c, err := find(pod, ref.ContainerName)
	if err != nil {
		return "", err
	}
	return value(ref, withLimits(c, allocatable))
}

// EnvResource is what an environment variable of c holds for ref. A limit that
// the container does not set is the pod's own, else the node's allocatable
// amount; init containers named by another container get no such default, as
// in the kubelet.
func EnvResource(ref *corev1.ResourceFieldSelector, pod *corev1.Pod, c *corev1.Container, allocatable corev1.ResourceList) (string, error) {
	allocatable = podLimits(pod, allocatable)
	if ref.ContainerName == "" {
		return value(ref, withLimits(c, allocatable))
	}
	named, err := find(pod, ref.ContainerName)
	if err != nil {
		return "", err
	}
	if !isRegular(pod, ref.ContainerName) {
		return value(ref, named)
	}
	return value(ref, withLimits(named, allocatable))
}

// podLimits puts the pod's own limits in the place of the node's.
func podLimits(pod *corev1.Pod, allocatable corev1.ResourceList) corev1.ResourceList {
	if !helper.IsPodLevelLimitsSet(pod) {
		return allocatable
	}
	out := allocatable.DeepCopy()
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		limit, set := pod.Spec.Resources.Limits[name]
		if _, known := out[name]; set && known && !limit.IsZero() {
			out[name] = limit.DeepCopy()
		}
	}
	return out
}

func find(pod *corev1.Pod, name string) (*corev1.Container, error) {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i], nil
			}
		}
	}
	return nil, fmt.Errorf("container %s not found", name)
}

func isRegular(pod *corev1.Pod, name string) bool {
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == name {
			return true
		}
	}
	return false
}

func withLimits(c *corev1.Container, defaults corev1.ResourceList) *corev1.Container {
	out := c.DeepCopy()
	if out.Resources.Limits == nil {
		out.Resources.Limits = corev1.ResourceList{}
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		limit := out.Resources.Limits[name]
		if d, ok := defaults[name]; ok && limit.IsZero() {
			out.Resources.Limits[name] = d.DeepCopy()
		}
	}
	return out
}

func value(ref *corev1.ResourceFieldSelector, c *corev1.Container) (string, error) {
	divisor := ref.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	list, name, ok := selected(ref.Resource, c)
	if !ok {
		return "", fmt.Errorf("unsupported container resource : %v", ref.Resource)
	}
	q := list[name]
	if name == corev1.ResourceCPU {
		return ceil(q.MilliValue(), divisor.MilliValue()), nil
	}
	return ceil(q.Value(), divisor.Value()), nil
}

// selected takes limits.cpu apart; ok is false where the downward API does not
// offer the resource.
func selected(field string, c *corev1.Container) (corev1.ResourceList, corev1.ResourceName, bool) {
	kind, rest, _ := strings.Cut(field, ".")
	name := corev1.ResourceName(rest)
	known := name == corev1.ResourceCPU || name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage ||
		strings.HasPrefix(rest, corev1.ResourceHugePagesPrefix)
	switch {
	case !known:
		return nil, "", false
	case kind == "limits":
		return c.Resources.Limits, name, true
	case kind == "requests":
		return c.Resources.Requests, name, true
	}
	return nil, "", false
}

func ceil(amount, divisor int64) string {
	return strconv.FormatInt(int64(math.Ceil(float64(amount)/float64(divisor))), 10)
}
