// Package cgroups makes, limits, measures and removes the cgroups of pods, on
// cgroup v1 and v2.
//
// A path is absolute and names the same cgroup in every v1 hierarchy or in the
// unified one: /lifepod-1a2b3c4d/kubepods/burstable/pod<uid>. cgroups/values has
// Kubernetes' formulas, as pure functions.
package cgroups

import "time"

// Values are the limits of one cgroup. A nil field is left as it is.
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
	// HugePages maps a page size as the kernel names it ("2MB") to bytes.
	HugePages map[string]int64
	// Unified are v2 files and their content (memory.low); refused on v1.
	Unified map[string]string
}

// Stats is one reading of a cgroup, its descendants included.
type Stats struct {
	Time time.Time
	// CPU is the time used.
	CPU time.Duration
	// Memory in bytes. WorkingSet is Usage less inactive file cache.
	MemoryUsage, MemoryWorkingSet, MemoryRSS, MemoryLimit uint64
	// OOMKills counts processes that the kernel killed here for memory.
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
