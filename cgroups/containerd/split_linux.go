package containerd

import (
	"math"
	"slices"
	"strconv"

	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/cgroups/values"
)

// parts are limits in the library's words, and those that it has none for.
type parts struct {
	v1   specs.LinuxResources
	v2   cgroup2.Resources
	rest cgroups.Values
}

// split divides values that passed Check. unified tells a controller's version,
// and sizes are the machine's huge page sizes.
func split(v cgroups.Values, unified func(controller string) bool, sizes []string) *parts {
	p := &parts{}
	p.cpu(v, unified("cpu"))
	if n := v.Memory; n != nil && *n != 0 {
		if unified("memory") {
			p.v2.Memory = &cgroup2.Memory{Max: ptr(maxInt(*n))}
		} else {
			p.v1.Memory = &specs.LinuxMemory{Limit: n}
		}
	}
	// The library leaves out 0 on v2, and what is not positive on v1.
	switch n := v.PidsMax; {
	case n == nil:
	case unified("pids") && *n != 0:
		p.v2.Pids = &cgroup2.Pids{Max: *n}
	case !unified("pids") && *n > 0:
		p.v1.Pids = &specs.LinuxPids{Limit: n}
	default:
		p.rest.PidsMax = n
	}
	p.hugePages(v.HugePages, unified("hugetlb"), sizes)
	for file, text := range v.Unified {
		p.file(file, text)
	}
	return p
}

func ptr[T any](v T) *T { return &v }

// maxInt is the number that the kernel shows as max, for -1.
func maxInt(n int64) int64 {
	if n == -1 {
		return math.MaxInt64
	}
	return n
}

func (p *parts) cpu(v cgroups.Values, unified bool) {
	quota, period := v.CPUQuota, v.CPUPeriod
	if quota != nil && *quota == 0 {
		quota = nil
	}
	if quota == nil || period != nil && *period == 0 {
		period = nil // a period without a quota was refused
	}
	if v.CPUShares == nil && quota == nil {
		return
	}
	if !unified {
		p.v1.CPU = &specs.LinuxCPU{Shares: v.CPUShares, Quota: quota, Period: period}
		return
	}
	p.v2.CPU = &cgroup2.CPU{}
	if v.CPUShares != nil {
		p.v2.CPU.Weight = ptr(values.SharesToWeight(*v.CPUShares))
	}
	if quota != nil {
		p.v2.CPU.Max = cpuMax(*quota, period)
	}
}

// cpuMax is the text of cpu.max. Without a period the old one stays, where the
// library's own function sets 100 ms.
func cpuMax(quota int64, period *uint64) cgroup2.CPUMax {
	text := "max"
	if quota != -1 {
		text = strconv.FormatInt(quota, 10)
	}
	if period != nil {
		text += " " + strconv.FormatUint(*period, 10)
	}
	return cgroup2.CPUMax(text)
}

// hugePages leaves out sizes that the machine does not have, whose limit is 0.
// The largest number is no limit to the kernel.
func (p *parts) hugePages(pages map[string]int64, unified bool, sizes []string) {
	for _, size := range sizes {
		n, ok := pages[size]
		switch {
		case !ok:
		case unified && p.v2.HugeTlb == nil:
			p.v2.HugeTlb = &cgroup2.HugeTlb{}
			fallthrough
		case unified:
			*p.v2.HugeTlb = append(*p.v2.HugeTlb, cgroup2.HugeTlbEntry{HugePageSize: size, Limit: uint64(n)})
		default:
			p.v1.HugepageLimits = append(p.v1.HugepageLimits, specs.LinuxHugepageLimit{Pagesize: size, Limit: uint64(n)})
		}
	}
}

// file takes a v2 file, which the library has if it is a number of protection.
func (p *parts) file(name, text string) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && slices.Contains([]string{"memory.min", "memory.low", "memory.high"}, name) {
		if p.v2.Memory == nil {
			p.v2.Memory = &cgroup2.Memory{}
		}
		switch name {
		case "memory.min":
			p.v2.Memory.Min = &n
		case "memory.low":
			p.v2.Memory.Low = &n
		case "memory.high":
			p.v2.Memory.High = &n
		}
		return
	}
	if p.rest.Unified == nil {
		p.rest.Unified = map[string]string{}
	}
	p.rest.Unified[name] = text
}
