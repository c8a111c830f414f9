package containerd

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/containerd/cgroups/v3/cgroup2/stats"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/cgroups"
)

// Stats reads the cgroup at p. It is an error that wraps os.ErrNotExist when
// there is none, or no longer.
func (m *Manager) Stats(ctx context.Context, p string) (cgroups.Stats, error) {
	if err := m.Check(p, cgroups.Values{}); err != nil {
		return cgroups.Stats{}, err
	}
	if err := ctx.Err(); err != nil {
		return cgroups.Stats{}, err
	}
	s := cgroups.Stats{Time: time.Now()}
	_, err := os.Lstat(filepath.Join(m.memory, p)) // of what is not there v2 has zeros
	if err == nil && len(m.v1) > 0 {
		err = m.statsV1(ctx, p, &s)
	}
	if err == nil && m.v2 != nil {
		err = m.statsV2(ctx, p, &s)
	}
	if errors.Is(err, cgroup1.ErrCgroupDeleted) || errors.Is(err, unix.ENODEV) {
		err = fmt.Errorf("%w: %w", err, os.ErrNotExist)
	}
	if err != nil {
		return cgroups.Stats{}, fmt.Errorf("read cgroup %s: %w", p, err)
	}
	s.MemoryWorkingSet = s.MemoryUsage - min(s.MemoryWorkingSet, s.MemoryUsage)
	return s, nil
}

// statsV1 reads what v1 has. MemoryWorkingSet is the inactive file cache for
// now.
func (m *Manager) statsV1(ctx context.Context, p string, s *cgroups.Stats) error {
	g, err := cgroup1.Load(cgroup1.StaticPath(p), hierarchy(m.measured))
	if err != nil {
		return err
	}
	read, err := g.Stat()
	if err != nil {
		return err
	}
	s.CPU = time.Duration(read.CPU.Usage.Total)
	if read.Pids != nil {
		s.Pids = read.Pids.Current
	}
	if mem := read.Memory; mem != nil {
		s.MemoryUsage, s.MemoryLimit = mem.Usage.Usage, limit(mem.Usage.Limit)
		s.MemoryRSS, s.MemoryWorkingSet = mem.TotalRSS, mem.TotalInactiveFile
		s.OOMKills, err = m.oomKillsBelow(ctx, p)
		s.OOMKills += read.MemoryOomControl.OomKill
	}
	return err
}

// oomKillsBelow adds up a v1 tree: the kernel counts each cgroup by itself. What
// is removed meanwhile does not count.
func (m *Manager) oomKillsBelow(ctx context.Context, p string) (n uint64, err error) {
	below, err := m.List(ctx, p)
	if err != nil {
		return 0, err
	}
	base := func() ([]cgroup1.Subsystem, error) { return m.measured, nil }
	for _, c := range below {
		g, err := cgroup1.Load(cgroup1.StaticPath(c), cgroup1.WithHierarchy(cgroup1.SingleSubsystem(base, cgroup1.Memory)))
		if errors.Is(err, cgroup1.ErrCgroupDeleted) {
			continue
		}
		if err != nil {
			return 0, err
		}
		read, err := g.Stat()
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) {
			continue
		}
		if err != nil {
			return 0, err
		}
		more, err := m.oomKillsBelow(ctx, c)
		if err != nil {
			return 0, err
		}
		n += read.MemoryOomControl.OomKill + more
	}
	return n, nil
}

// limit reads "max" and v1's "as large as a page counter goes" as 0.
func limit(n uint64) uint64 {
	if n >= math.MaxInt64/4096*4096 {
		return 0
	}
	return n
}

// statsV2 reads what the unified hierarchy has: of the mixture mostly pressure.
func (m *Manager) statsV2(ctx context.Context, p string, s *cgroups.Stats) error {
	g, err := cgroup2.Load(p, cgroup2.WithMountpoint(m.v2.Dir))
	if err != nil {
		return err
	}
	read, err := g.StatFiltered(cgroup2.StatCPU | cgroup2.StatMemory | cgroup2.StatMemoryEvents | cgroup2.StatPids | cgroup2.StatIO)
	if err != nil {
		return err
	}
	s.CPUPressure, s.IOPressure = pressure(read.CPU.PSI), pressure(read.Io.PSI)
	if m.unified("cpu") {
		s.CPU = time.Duration(read.CPU.UsageUsec) * time.Microsecond
	}
	if m.unified("pids") {
		s.Pids = read.Pids.Current
	}
	if !m.Unified() {
		own, err := m.Manager.Stats(ctx, p)
		s.MemoryPressure = own.MemoryPressure
		return err
	}
	mem := read.Memory
	s.MemoryUsage, s.MemoryLimit, s.MemoryPressure = mem.Usage, limit(mem.UsageLimit), pressure(mem.PSI)
	s.MemoryRSS, s.MemoryWorkingSet = mem.Anon, mem.InactiveFile
	if e := read.MemoryEvents; e != nil {
		s.OOMKills = e.OomKill
	}
	return nil
}

// pressure is nil where the kernel does not tell.
func pressure(p *stats.PSIStats) *cgroups.Pressure {
	if p == nil || p.Some == nil && p.Full == nil {
		return nil
	}
	return &cgroups.Pressure{
		SomeAvg10: p.GetSome().GetAvg10(), SomeTotal: p.GetSome().GetTotal(),
		FullAvg10: p.GetFull().GetAvg10(), FullTotal: p.GetFull().GetTotal(),
	}
}
