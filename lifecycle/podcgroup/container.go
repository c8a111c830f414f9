package podcgroup

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/cgroups/values"
	"github.com/lifepod/lifepod/pod"
)

// Resources are a container's, with the meaning of the CRI message
// LinuxContainerResources.
type Resources struct {
	CPUShares int64
	// CPUQuota of 0 is no limit. CPUPeriod is 0 when quotas are off.
	CPUQuota, CPUPeriod int64
	// MemoryLimit of 0 is no limit. MemorySwap is the limit of both together, on
	// v1 only.
	MemoryLimit, MemorySwap int64
	OOMScoreAdj             int64
	// HugePages maps page sizes to bytes.
	HugePages map[string]int64
	// Unified are v2 files and their content.
	Unified map[string]string
}

// Container returns the resources of an init or regular container of p.
func Container(p *corev1.Pod, c *corev1.Container, o Options) Resources {
	cpuLimit := pod.ContainerLimit(p, c, corev1.ResourceCPU)
	memoryLimit := pod.ContainerLimit(p, c, corev1.ResourceMemory)
	cpuRequest, ok := c.Resources.Requests[corev1.ResourceCPU]
	if !ok {
		cpuRequest = cpuLimit
	}
	r := Resources{
		CPUShares:   int64(values.MilliCPUToShares(cpuRequest.MilliValue())),
		MemoryLimit: memoryLimit.Value(),
		OOMScoreAdj: int64(oomScoreAdj(p, c, o)),
		HugePages:   containerHugePages(p, c, o),
	}
	if !o.NoCPUQuota {
		r.CPUPeriod = o.period()
		r.CPUQuota = values.MilliCPUToQuota(cpuLimit.MilliValue(), o.period())
	}
	if !o.Cgroup2 {
		if o.Swap != NoSwapControl {
			r.MemorySwap = r.MemoryLimit // no more than memory alone
		}
		return r
	}
	r.Unified = containerMemoryQoS(p, c, o)
	if !o.SingleProcessOOMKill {
		r.Unified["memory.oom.group"] = "1"
	}
	if o.Swap != NoSwapControl {
		r.Unified["memory.swap.max"] = strconv.FormatInt(containerSwap(p, c, o), 10)
	}
	return r
}

func containerMemoryQoS(p *corev1.Pod, c *corev1.Container, o Options) map[string]string {
	u := map[string]string{}
	request, limit := c.Resources.Requests.Memory().Value(), c.Resources.Limits.Memory().Value()
	if o.TieredReservation && request != 0 {
		protect(u, pod.QOS(p), request)
	} else {
		u[memoryMin], u[memoryLow] = "0", "0"
	}
	if o.ThrottlingFactor == 0 {
		return u
	}
	if limit == 0 {
		// The pod's own memory.high throttles its containers.
		if pod.HasPodLevelResources(p) && !p.Spec.Resources.Limits.Memory().IsZero() {
			return u
		}
		limit = o.MemoryAllocatable
	}
	if high := values.MemoryHigh(request, limit, o.ThrottlingFactor, o.pageSize()); high > 0 {
		u[memoryHigh] = strconv.FormatInt(high, 10)
	}
	return u
}

// containerSwap is for Burstable pods that are not critical, and in them for
// containers that request less than their limit.
func containerSwap(p *corev1.Pod, c *corev1.Container, o Options) int64 {
	request, limit := c.Resources.Requests.Memory(), c.Resources.Limits.Memory()
	if o.Swap != LimitedSwap || pod.IsCritical(p) || pod.QOS(p) != corev1.PodQOSBurstable || request.Cmp(*limit) == 0 {
		return 0
	}
	return values.LimitedSwap(request.Value(), o.MemoryCapacity, o.SwapCapacity)
}

func oomScoreAdj(p *corev1.Pod, c *corev1.Container, o Options) int {
	in := values.OOM{
		QOS: values.QOS(pod.QOS(p)), NodeCritical: pod.IsNodeCritical(p),
		Request: c.Resources.Requests.Memory().Value(), Capacity: o.MemoryCapacity,
	}
	if pod.HasPodLevelRequests(p) {
		if n := int64(len(p.Spec.Containers) + len(p.Spec.InitContainers)); n > 0 {
			inner := pod.ContainersRequests(p)
			in.Extra = max(p.Spec.Resources.Requests.Memory().Value()-inner.Memory().Value(), 0) / n
		}
	}
	if _, kind := pod.Find(&p.Spec, c.Name); kind == pod.Init && pod.IsSidecar(c) {
		in.Sidecar = true
		for i := range p.Spec.Containers {
			m := p.Spec.Containers[i].Resources.Requests.Memory().Value()
			if i == 0 || m < in.MinRegular {
				in.MinRegular = m
			}
		}
	}
	return values.OOMScoreAdj(in)
}

// containerHugePages: a container's own limit comes before the pod's, and what
// neither has is limited to 0 on the sizes of the machine.
func containerHugePages(p *corev1.Pod, c *corev1.Container, o Options) map[string]int64 {
	limits := corev1.ResourceList{}
	if pod.HasPodLevelResources(p) {
		for name, q := range p.Spec.Resources.Limits {
			limits[name] = q
		}
	}
	for name, q := range c.Resources.Limits {
		limits[name] = q
	}
	return hugePages(limits, o)
}
