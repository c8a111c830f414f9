package values

import (
	"fmt"
	"math"
)

// QOS is a pod's quality of service class, spelled as in its status.
type QOS string

// The three classes.
const (
	Guaranteed QOS = "Guaranteed"
	Burstable  QOS = "Burstable"
	BestEffort QOS = "BestEffort"
)

// MemoryHigh gives memory.high: the request plus factor times what lies between
// request and limit, in whole pages. 0 means that it is not to be set: without a
// limit, or when the result is not above the request, so that a Guaranteed pod
// is never throttled. For a container without a limit of its own, pass the
// node's allocatable memory.
func MemoryHigh(request, limit int64, factor float64, pageSize int64) int64 {
	if limit <= 0 || pageSize <= 0 {
		return 0
	}
	high := math.Floor(float64(request) + (float64(limit)-float64(request))*factor)
	pages := int64(high/float64(pageSize)) * pageSize
	if pages <= request {
		return 0
	}
	return pages
}

// MemoryProtection gives memory.min and memory.low of a pod or container under
// tiered reservation: what a Guaranteed one requests is never reclaimed, what a
// Burstable one requests is reclaimed last.
func MemoryProtection(q QOS, request int64) (minimum, low int64) {
	switch {
	case request <= 0:
		return 0, 0
	case q == Guaranteed:
		return request, 0
	}
	return 0, request
}

// Tiers is the memory protection of the cgroups above the pods: a pod's own
// counts only as far as its ancestors' covers it.
type Tiers struct {
	RootMin, RootLow, BurstableLow int64
}

// TierProtection gives the protection for the sums of what Guaranteed and
// Burstable pods request.
func TierProtection(guaranteed, burstable int64) Tiers {
	return Tiers{RootMin: guaranteed + burstable, RootLow: burstable, BurstableLow: burstable}
}

// LimitedSwap gives a container's share of the node's swap, in proportion to its
// memory request. A request above the node's memory, or a node without memory,
// gives none.
func LimitedSwap(request, nodeMemory, nodeSwap int64) int64 {
	if nodeMemory <= 0 || request > nodeMemory {
		return 0
	}
	return int64(float64(request) / float64(nodeMemory) * float64(nodeSwap))
}

// TmpfsSize gives the size of a memory-backed emptyDir: the least of the node's
// allocatable memory, the pod's memory limit and the volume's own; a limit that
// is not positive does not count.
func TmpfsSize(nodeAllocatable, podLimit, sizeLimit int64) int64 {
	size := nodeAllocatable
	for _, l := range []int64{podLimit, sizeLimit} {
		if l > 0 && l <= size {
			size = l
		}
	}
	return size
}

// NodeAllocatable gives what pods may use of a node's capacity.
func NodeAllocatable(capacity, kubeReserved, systemReserved, hardEviction int64) int64 {
	return max(capacity-kubeReserved-systemReserved-hardEviction, 0)
}

// HugePageName names a page size of n bytes as the kernel's files do: 2MB, 1GB.
func HugePageName(n int64) (string, error) {
	units := []string{"B", "KB", "MB", "GB", "TB", "PB"}
	size, u := n, 0
	for size > 0 && size%1024 == 0 && u < len(units)-1 {
		size, u = size/1024, u+1
	}
	if size <= 0 || size > 1024 && u < len(units)-1 {
		return "", fmt.Errorf("huge page size of %d bytes is not a whole number of a unit", n)
	}
	return fmt.Sprintf("%d%s", size, units[u]), nil
}
