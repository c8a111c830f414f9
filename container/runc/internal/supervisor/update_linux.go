//go:build cgo

package supervisor

import (
	"fmt"
	"maps"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/internal/sys"
)

var effectUpdate = sys.NewEffect("container/update")

// update changes the limits of a container that has not stopped.
func (s *Supervisor) update(id string, r *specs.LinuxResources) error {
	c, err := s.get(id)
	if err != nil {
		return err
	}
	c.op.Lock()
	defer c.op.Unlock()
	if st := c.state().Status; st == container.Stopped || c.record().StartErr != "" {
		return fmt.Errorf("update container %s: it is %s: %w", id, st, container.ErrState)
	}
	if r == nil {
		return nil
	}
	if len(r.Devices) > 0 || r.Network != nil || len(r.Rdma) > 0 || len(r.HugepageLimits) > 0 {
		return fmt.Errorf("update container %s: devices, network, rdma and hugepageLimits cannot be changed while it runs", id)
	}
	if err := effectUpdate.Do(func() error { return c.box.update(r) }); err != nil {
		return fmt.Errorf("update container %s: %w", id, err)
	}
	return nil
}

// change gives a copy of old with what r says.
func change(old *cgroups.Resources, r *specs.LinuxResources) *cgroups.Resources {
	n := *old
	if m := r.Memory; m != nil {
		set(&n.Memory, m.Limit)
		set(&n.MemoryReservation, m.Reservation)
		set(&n.MemorySwap, m.Swap)
		if m.CheckBeforeUpdate != nil {
			n.MemoryCheckBeforeUpdate = *m.CheckBeforeUpdate
		}
	}
	if c := r.CPU; c != nil {
		set(&n.CpuShares, c.Shares)
		if c.Shares != nil {
			n.CpuWeight = cgroups.ConvertCPUSharesToCgroupV2Value(*c.Shares)
		}
		set(&n.CpuQuota, c.Quota)
		set(&n.CpuPeriod, c.Period)
		if c.Burst != nil {
			n.CpuBurst = c.Burst
		}
		if c.Idle != nil {
			n.CPUIdle = c.Idle
		}
		if c.Cpus != "" {
			n.CpusetCpus = c.Cpus
		}
		if c.Mems != "" {
			n.CpusetMems = c.Mems
		}
	}
	if r.Pids != nil {
		n.PidsLimit = r.Pids.Limit
	}
	if b := r.BlockIO; b != nil && b.Weight != nil {
		n.BlkioWeight = *b.Weight
	}
	if len(r.Unified) > 0 {
		n.Unified = maps.Clone(n.Unified)
		if n.Unified == nil {
			n.Unified = map[string]string{}
		}
		maps.Copy(n.Unified, r.Unified)
	}
	return &n
}

func set[T any](field *T, v *T) {
	if v != nil {
		*field = *v
	}
}
