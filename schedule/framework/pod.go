package framework

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	helper "k8s.io/component-helpers/resource"

	"github.com/lifepod/lifepod/pod"
)

// What a container without a request counts for when nodes are scored, so that
// pods without requests spread too.
const (
	DefaultMilliCPU int64 = 100
	DefaultMemory   int64 = 200 << 20
)

// HostPort is a port that a pod takes of its node. IP is never empty: 0.0.0.0
// stands for all.
type HostPort struct {
	Protocol corev1.Protocol
	IP       string
	Port     int32
}

// Pod is a pod with what the scheduler asks of it, worked out once. It must not be
// changed.
type Pod struct {
	*corev1.Pod
	Requests Resources
	// NonZero counts containers without requests for something, for scores.
	NonZero Resources
	Ports   []HostPort
}

// NewPod works a pod out. p must not change afterwards.
func NewPod(p *corev1.Pod) *Pod {
	requests := pod.RequestsInUse(p)
	out := &Pod{Pod: p, Requests: NewResources(requests)}
	out.NonZero = nonZero(p, requests, out.Requests)
	for c, kind := range pod.Containers(&p.Spec, pod.Main) {
		if kind == pod.Init && !pod.IsSidecar(c) {
			continue
		}
		for _, port := range c.Ports {
			if port.HostPort > 0 {
				out.Ports = append(out.Ports, newHostPort(port))
			}
		}
	}
	return out
}

// nonZero is the requests with something in the place of each container's cpu or
// memory that is not there; where the pod itself requests, that counts.
func nonZero(p *corev1.Pod, requests corev1.ResourceList, known Resources) Resources {
	missing := corev1.ResourceList{}
	whole := pod.HasPodLevelRequests(p)
	if _, ok := requests[corev1.ResourceCPU]; !whole || !ok {
		missing[corev1.ResourceCPU] = defaultCPU
	}
	if _, ok := requests[corev1.ResourceMemory]; !whole || !ok {
		missing[corev1.ResourceMemory] = defaultMemory
	}
	if complete(p) || len(missing) == 0 {
		return Resources{MilliCPU: known.MilliCPU, Memory: known.Memory}
	}
	list := helper.PodRequests(p, helper.PodResourcesOptions{
		UseStatusResources: true, InPlacePodLevelResourcesVerticalScalingEnabled: true,
		NonMissingContainerRequests: missing,
	})
	return Resources{MilliCPU: list.Cpu().MilliValue(), Memory: list.Memory().Value()}
}

// ContainerDefaults returns what a container without requests counts for.
func ContainerDefaults() corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: defaultCPU, corev1.ResourceMemory: defaultMemory}
}

// complete reports whether every container requests cpu and memory.
func complete(p *corev1.Pod) bool {
	for c := range pod.Containers(&p.Spec, pod.Main) {
		_, cpu := c.Resources.Requests[corev1.ResourceCPU]
		_, memory := c.Resources.Requests[corev1.ResourceMemory]
		if !cpu || !memory {
			return false
		}
	}
	return true
}

var (
	defaultCPU    = *resource.NewMilliQuantity(DefaultMilliCPU, resource.DecimalSI)
	defaultMemory = *resource.NewQuantity(DefaultMemory, resource.BinarySI)
)

func newHostPort(p corev1.ContainerPort) HostPort {
	out := HostPort{Protocol: p.Protocol, IP: p.HostIP, Port: p.HostPort}
	if out.Protocol == "" {
		out.Protocol = corev1.ProtocolTCP
	}
	if out.IP == "" {
		out.IP = AnyIP
	}
	return out
}

// AnyIP is a host port's address that overlaps with all others.
const AnyIP = "0.0.0.0"

// Overlaps reports whether two pods cannot have both ports on one node.
func (p HostPort) Overlaps(o HostPort) bool {
	return p.Port == o.Port && p.Protocol == o.Protocol && (p.IP == o.IP || p.IP == AnyIP || o.IP == AnyIP)
}
