package ocispec

import (
	"fmt"
	"maps"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const resourcesField = "linux.resources."

func resources(in Input, s *specs.Spec) error {
	r := in.Container.GetLinux().GetResources()
	out, err := Resources(r, in.Host)
	if err != nil {
		return err
	}
	// The runtime adds the devices that every container has.
	out.Devices = []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}
	s.Linux.Resources = out
	if r != nil {
		adj := max(int(r.GetOomScoreAdj()), in.Host.MinOOMScoreAdj)
		s.Process.OOMScoreAdj = &adj
	}
	return nil
}

// Resources are the limits that r names; zero fields give nil ones.
func Resources(r *runtimeapi.LinuxContainerResources, h Host) (*specs.LinuxResources, error) {
	out := &specs.LinuxResources{CPU: &specs.LinuxCPU{}, Memory: &specs.LinuxMemory{}}
	if r == nil {
		return out, nil
	}
	if r.GetCpuPeriod() < 0 || r.GetCpuShares() < 0 {
		return nil, &FieldError{resourcesField + "cpu_period", "period and shares cannot be negative"}
	}
	out.CPU.Period = set(uint64(r.GetCpuPeriod()))
	out.CPU.Quota = set(r.GetCpuQuota())
	out.CPU.Shares = set(uint64(r.GetCpuShares()))
	out.CPU.Cpus, out.CPU.Mems = r.GetCpusetCpus(), r.GetCpusetMems()
	out.Memory.Limit = set(r.GetMemoryLimitInBytes())
	if h.SwapLimit {
		// Without a swap limit of its own a container with a memory limit may not swap.
		out.Memory.Swap = out.Memory.Limit
		if v := r.GetMemorySwapLimitInBytes(); v != 0 {
			out.Memory.Swap = &v
		}
	}
	if len(r.GetUnified()) > 0 {
		if !h.CgroupV2 {
			return nil, &FieldError{resourcesField + "unified", fmt.Sprintf("%v need cgroup v2, this machine has v1", slices.Sorted(maps.Keys(r.GetUnified())))}
		}
		out.Unified = maps.Clone(r.GetUnified())
	}
	for _, p := range r.GetHugepageLimits() {
		if h.HugeTLB {
			out.HugepageLimits = append(out.HugepageLimits, specs.LinuxHugepageLimit{Pagesize: p.GetPageSize(), Limit: p.GetLimit()})
		} else if p.GetLimit() != 0 {
			return nil, &FieldError{resourcesField + "hugepage_limits", "huge pages limits are specified but hugetlb cgroup controller is missing"}
		}
	}
	return out, nil
}

func set[T int64 | uint64](v T) *T {
	if v == 0 {
		return nil
	}
	return &v
}

// Merge lays the set fields of update over old, as an update of resources does.
func Merge(old, update *runtimeapi.LinuxContainerResources) *runtimeapi.LinuxContainerResources {
	out := &runtimeapi.LinuxContainerResources{
		CpuPeriod:              pick(update.GetCpuPeriod(), old.GetCpuPeriod()),
		CpuQuota:               pick(update.GetCpuQuota(), old.GetCpuQuota()),
		CpuShares:              pick(update.GetCpuShares(), old.GetCpuShares()),
		MemoryLimitInBytes:     pick(update.GetMemoryLimitInBytes(), old.GetMemoryLimitInBytes()),
		MemorySwapLimitInBytes: pick(update.GetMemorySwapLimitInBytes(), old.GetMemorySwapLimitInBytes()),
		OomScoreAdj:            pick(update.GetOomScoreAdj(), old.GetOomScoreAdj()),
		CpusetCpus:             pick(update.GetCpusetCpus(), old.GetCpusetCpus()),
		CpusetMems:             pick(update.GetCpusetMems(), old.GetCpusetMems()),
		HugepageLimits:         old.GetHugepageLimits(),
	}
	if len(update.GetHugepageLimits()) > 0 {
		out.HugepageLimits = update.GetHugepageLimits()
	}
	if n := len(old.GetUnified()) + len(update.GetUnified()); n > 0 {
		out.Unified = make(map[string]string, n)
		maps.Copy(out.Unified, old.GetUnified())
		maps.Copy(out.Unified, update.GetUnified())
	}
	return out
}

func pick[T comparable](v, other T) T {
	var zero T
	if v != zero {
		return v
	}
	return other
}

// devices adds the container's own and, for a privileged one, the host's.
func devices(in Input, s *specs.Spec) error {
	for _, d := range in.Devices {
		major, minor := d.Major, d.Minor
		s.Linux.Devices = append(s.Linux.Devices, d.LinuxDevice)
		s.Linux.Resources.Devices = append(s.Linux.Resources.Devices,
			specs.LinuxDeviceCgroup{Allow: true, Type: d.Type, Major: &major, Minor: &minor, Access: d.Access})
	}
	if in.security().GetPrivileged() {
		s.Linux.Devices = append(s.Linux.Devices, in.HostDevices...)
		s.Linux.Resources.Devices = append(s.Linux.Resources.Devices, specs.LinuxDeviceCgroup{Allow: true, Access: "rwm"})
	}
	return nil
}
