package podcgroup

import (
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/cgroups/values"
	"github.com/lifepod/lifepod/pod"
)

const (
	memoryMin  = "memory.min"
	memoryLow  = "memory.low"
	memoryHigh = "memory.high"
)

// Path returns the pod's cgroup below o.Root. It is an error when the pod's uid
// cannot be part of a path.
func Path(p *corev1.Pod, o Options) (string, error) {
	name, err := values.PodName(values.QOS(pod.QOS(p)), string(p.UID))
	if err != nil {
		return "", err
	}
	return name.Under(o.Root), nil
}

// Values returns the limits of the pod's cgroup: shares of all it requests; a CPU
// quota and a memory limit only when the pod as a whole has one; huge pages that
// it requests; memory protection where asked for.
func Values(p *corev1.Pod, o Options) cgroups.Values {
	requests, limits, qos := pod.Requests(p), pod.Limits(p), pod.QOS(p)
	v := cgroups.Values{CPUShares: new(uint64), HugePages: hugePages(requests, o)}
	*v.CPUShares = values.MinShares
	if o.PidsLimit > 0 {
		v.PidsMax = &o.PidsLimit
	}
	if qos != corev1.PodQOSBestEffort {
		*v.CPUShares = values.MilliCPUToShares(requests.Cpu().MilliValue())
		guaranteed := qos == corev1.PodQOSGuaranteed
		if guaranteed || pod.LimitsDeclared(p, corev1.ResourceCPU) {
			quota, period := int64(-1), uint64(o.period())
			if !o.NoCPUQuota {
				quota = values.MilliCPUToQuota(limits.Cpu().MilliValue(), o.period())
			}
			v.CPUQuota, v.CPUPeriod = &quota, &period
		}
		if guaranteed || pod.LimitsDeclared(p, corev1.ResourceMemory) {
			memory := limits.Memory().Value()
			v.Memory = &memory
		}
	}
	v.Unified = podMemoryQoS(p, requests, limits, o)
	return v
}

func podMemoryQoS(p *corev1.Pod, requests, limits corev1.ResourceList, o Options) map[string]string {
	if !o.Cgroup2 {
		return nil
	}
	u := map[string]string{}
	request := requests.Memory().Value()
	if o.TieredReservation {
		protect(u, pod.QOS(p), request)
	}
	// Without pod-level resources each container is throttled by itself.
	if o.ThrottlingFactor != 0 && pod.HasPodLevelResources(p) && pod.LimitsDeclared(p, corev1.ResourceMemory) {
		if high := values.MemoryHigh(request, limits.Memory().Value(), o.ThrottlingFactor, o.pageSize()); high > 0 {
			u[memoryHigh] = strconv.FormatInt(high, 10)
		}
	}
	if len(u) == 0 {
		return nil
	}
	return u
}

func protect(u map[string]string, qos corev1.PodQOSClass, request int64) {
	minimum, low := values.MemoryProtection(values.QOS(qos), request)
	if minimum > 0 {
		u[memoryMin] = strconv.FormatInt(minimum, 10)
	}
	if low > 0 {
		u[memoryLow] = strconv.FormatInt(low, 10)
	}
}

// hugePages returns the limit of each size that the machine has or list names.
// Names that are no sizes are left to validation.
func hugePages(list corev1.ResourceList, o Options) map[string]int64 {
	var pages map[string]int64
	add := func(size string, n int64) {
		if pages == nil {
			pages = map[string]int64{}
		}
		pages[size] += n
	}
	for _, size := range o.HugePageSizes {
		add(size, 0)
	}
	for name, q := range list {
		if size, ok := hugePageSize(name); ok {
			add(size, q.Value())
		}
	}
	return pages
}

func hugePageSize(name corev1.ResourceName) (string, bool) {
	s, ok := strings.CutPrefix(string(name), corev1.ResourceHugePagesPrefix)
	if !ok {
		return "", false
	}
	q, err := resource.ParseQuantity(s)
	if err != nil {
		return "", false
	}
	size, err := values.HugePageName(q.Value())
	return size, err == nil
}
