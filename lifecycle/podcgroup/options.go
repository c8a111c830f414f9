package podcgroup

import "github.com/lifepod/lifepod/cgroups/values"

// Swap says what containers may swap.
type Swap string

// The behaviours. NoSwapControl, the zero value, is for machines whose kernel
// does not count swap: nothing is set.
const (
	NoSwapControl Swap = ""
	NoSwap        Swap = "NoSwap"
	LimitedSwap   Swap = "LimitedSwap"
)

// Options say what node the pod is on and how it is run. The zero value is a
// cgroup v1 node of unknown size with Kubernetes' defaults.
type Options struct {
	// Root is the cgroup above kubepods. Empty is "/".
	Root string
	// Cgroup2 is true where memory and cpu are on cgroup v2. Memory QoS, killing
	// whole containers on OOM, and swap limits need it.
	Cgroup2 bool
	// NoCPUQuota turns CPU limits off.
	NoCPUQuota bool
	// CPUPeriod in microseconds; zero is 100 ms.
	CPUPeriod int64
	// PidsLimit bounds the processes of a pod; zero or less is no bound.
	PidsLimit int64
	// MemoryCapacity and MemoryAllocatable of the node in bytes.
	MemoryCapacity, MemoryAllocatable int64
	// Swap of containers, out of SwapCapacity bytes.
	Swap         Swap
	SwapCapacity int64
	// TieredReservation sets memory.min and memory.low from requests.
	TieredReservation bool
	// ThrottlingFactor sets memory.high; zero leaves it alone. It is below 1.
	ThrottlingFactor float64
	// SingleProcessOOMKill lets the kernel kill one process of a container
	// instead of all.
	SingleProcessOOMKill bool
	// HugePageSizes are the machine's, as the kernel names them ("2MB"). A size
	// that a pod does not request is limited to 0.
	HugePageSizes []string
	// PageSize of the machine; zero is 4096.
	PageSize int64
}

func (o Options) period() int64 {
	if o.CPUPeriod == 0 {
		return values.DefaultPeriod
	}
	return o.CPUPeriod
}

func (o Options) pageSize() int64 {
	if o.PageSize == 0 {
		return 4096
	}
	return o.PageSize
}
