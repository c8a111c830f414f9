package podcgroup

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/cgroups/values"
	"github.com/lifepod/lifepod/pod"
)

// Tier is a cgroup above pods with its limits.
type Tier struct {
	Path   string
	Values cgroups.Values
}

// Tiers returns kubepods, burstable and besteffort for the pods that are now on
// the node, in the order in which to make them: besteffort pods share the least
// that there is, burstable ones what they request together. Compute and set them
// again when a pod comes or goes.
func Tiers(pods []*corev1.Pod, o Options) []Tier {
	var cpu, burstable, guaranteed int64
	for _, p := range pods {
		switch requests := pod.Requests(p); pod.QOS(p) {
		case corev1.PodQOSBurstable:
			cpu += requests.Cpu().MilliValue()
			burstable += requests.Memory().Value()
		case corev1.PodQOSGuaranteed:
			guaranteed += requests.Memory().Value()
		}
	}
	least, shares := uint64(values.MinShares), values.MilliCPUToShares(cpu)
	tiers := []Tier{
		{Path: values.TierName(values.Guaranteed).Under(o.Root)},
		{Path: values.TierName(values.Burstable).Under(o.Root), Values: cgroups.Values{CPUShares: &shares}},
		{Path: values.TierName(values.BestEffort).Under(o.Root), Values: cgroups.Values{CPUShares: &least}},
	}
	if !o.Cgroup2 {
		return tiers
	}
	// Without tiered reservation what an earlier run set is taken back.
	t := values.Tiers{}
	if o.TieredReservation {
		t = values.TierProtection(guaranteed, burstable)
	}
	tiers[0].Values.Unified = map[string]string{
		memoryMin: strconv.FormatInt(t.RootMin, 10), memoryLow: strconv.FormatInt(t.RootLow, 10),
	}
	tiers[1].Values.Unified = map[string]string{memoryLow: strconv.FormatInt(t.BurstableLow, 10)}
	return tiers
}
