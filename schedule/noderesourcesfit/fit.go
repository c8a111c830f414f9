// Package noderesourcesfit keeps pods off nodes that have too little left for
// what they request, and prefers nodes that have much left.
package noderesourcesfit

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	helper "k8s.io/component-helpers/resource"

	"github.com/lifepod/lifepod/pod"
	"github.com/lifepod/lifepod/schedule/framework"
)

// Name is the plugin's name.
const Name = "NodeResourcesFit"

// Plugin filters by what fits, and scores LeastAllocated: the share of cpu and of
// memory that stays free. The zero value works.
type Plugin struct{}

var (
	_ framework.FilterPlugin = Plugin{}
	_ framework.ScorePlugin  = Plugin{}
)

// Name implements framework.FilterPlugin.
func (Plugin) Name() string { return Name }

// Filter implements framework.FilterPlugin.
func (Plugin) Filter(p *framework.Pod) framework.Filter {
	return framework.Filter{Node: func(n *framework.Node) *framework.Rejection {
		short := Fits(p, n)
		if len(short) == 0 {
			return nil
		}
		r := &framework.Rejection{Code: framework.Unschedulable}
		for _, s := range short {
			r.Reasons = append(r.Reasons, s.Reason())
			if s.Never {
				r.Code = framework.Unresolvable
			}
		}
		return r
	}}
}

// Short is a resource of which a node has too little.
type Short struct {
	Resource                   corev1.ResourceName
	Requested, Used, Allocated int64
	// Never says that it would not fit on the empty node either.
	Never bool
}

// Reason is the text of Kubernetes' scheduler.
func (s Short) Reason() string {
	if s.Resource == corev1.ResourcePods {
		return "Too many pods"
	}
	return "Insufficient " + string(s.Resource)
}

// Fits returns what the node has too little of; nothing when the pod fits.
func Fits(p *framework.Pod, n *framework.Node) []Short {
	var out []Short
	if have := int64(len(n.Pods)); have+1 > n.Allocatable.Pods {
		out = append(out, Short{Resource: corev1.ResourcePods, Requested: 1, Used: have, Allocated: n.Allocatable.Pods})
	}
	check := func(name corev1.ResourceName, want, used, capacity int64) {
		if want > 0 && want > capacity-used {
			out = append(out, Short{Resource: name, Requested: want, Used: used, Allocated: capacity, Never: want > capacity})
		}
	}
	want, used, capacity := &p.Requests, &n.Requested, &n.Allocatable
	check(corev1.ResourceCPU, want.MilliCPU, used.MilliCPU, capacity.MilliCPU)
	check(corev1.ResourceMemory, want.Memory, used.Memory, capacity.Memory)
	check(corev1.ResourceEphemeralStorage, want.EphemeralStorage, used.EphemeralStorage, capacity.EphemeralStorage)
	if len(want.Scalar) > 0 {
		for _, name := range slices.Sorted(maps.Keys(want.Scalar)) {
			check(name, want.Scalar[name], used.Scalar[name], capacity.Scalar[name])
		}
	}
	return out
}

// Score implements framework.ScorePlugin.
func (Plugin) Score(p *framework.Pod, _ []*framework.Node) framework.Score {
	cpu, memory := p.NonZero.MilliCPU, p.NonZero.Memory
	if pod.HasPodLevelRequests(p.Pod) {
		// Kubernetes 1.37 overlooks the pod's own requests here, though not on the
		// nodes' side: its scorer is made without that feature.
		list := helper.PodRequests(p.Pod, helper.PodResourcesOptions{
			SkipPodLevelResources: true, NonMissingContainerRequests: framework.ContainerDefaults(),
		})
		cpu, memory = list.Cpu().MilliValue(), list.Memory().Value()
	}
	return framework.Score{Node: func(n *framework.Node) int64 {
		return LeastAllocated(
			[]int64{n.NonZero.MilliCPU + cpu, n.NonZero.Memory + memory},
			[]int64{n.Allocatable.MilliCPU, n.Allocatable.Memory})
	}}
}

// LeastAllocated is the mean of the free shares of all resources that there are,
// in percent: 0 to 100.
func LeastAllocated(requested, allocatable []int64) int64 {
	var sum, n int64
	for i, capacity := range allocatable {
		if capacity == 0 {
			continue
		}
		if requested[i] <= capacity {
			sum += (capacity - requested[i]) * framework.MaxScore / capacity
		}
		n++
	}
	if n == 0 {
		return 0
	}
	return sum / n
}
