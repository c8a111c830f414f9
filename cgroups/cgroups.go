package cgroups

import "time"

// Values are the limits of one cgroup. A nil field is left as it is, and so are
// CPUQuota, CPUPeriod and Memory of 0.
type Values struct {
	// CPUShares is the v1 weight, 2 to 262144; on v2 it becomes cpu.weight by
	// Kubernetes' linear formula.
	CPUShares *uint64
	// CPUQuota and CPUPeriod in microseconds; a quota of -1 means none.
	CPUQuota  *int64
	CPUPeriod *uint64
	// Memory in bytes and PidsMax; -1 means no limit.
	Memory  *int64
	PidsMax *int64
	// HugePages maps a page size as the kernel names it ("2MB") to bytes. A size
	// that the machine does not have may be limited to 0 only.
	HugePages map[string]int64
	// Unified are v2 files and their content (memory.low); refused on v1.
	Unified map[string]string
}

// Stats is one reading of a cgroup, its descendants included.
type Stats struct {
	Time time.Time
	// CPU is the time used.
	CPU time.Duration
	// Memory in bytes. WorkingSet is Usage less inactive file cache. A
	// MemoryLimit of 0 means none.
	MemoryUsage, MemoryWorkingSet, MemoryRSS, MemoryLimit uint64
	// OOMKills counts processes that the kernel killed here for memory. On v1
	// descendants count as long as they exist.
	OOMKills uint64
	Pids     uint64
	// CPUPressure, MemoryPressure and IOPressure are nil where the kernel does
	// not tell.
	CPUPressure, MemoryPressure, IOPressure *Pressure
}

// Pressure is a PSI reading: shares of time in percent, totals in microseconds.
type Pressure struct {
	SomeAvg10, FullAvg10 float64
	SomeTotal, FullTotal uint64
}

// Hierarchy is one mounted tree of cgroups.
type Hierarchy struct {
	Dir     string // where it is mounted
	Unified bool   // cgroup v2
	// Controllers are those of its controllers that limit or measure pods, as the
	// kernel names them.
	Controllers []string
}

// Options configure [Open]. The zero value manages every cgroup but the root.
type Options struct {
	// Root is the cgroup that all others must lie in; it is made at first use.
	// Paths outside are refused. Empty is "/", which itself is never touched.
	Root string
	// MountInfo is the file that names the mounted hierarchies. Empty is
	// /proc/self/mountinfo.
	MountInfo string
}
