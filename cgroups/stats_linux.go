package cgroups

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lifepod/lifepod/cgroups/values"
)

// Stats reads the cgroup at p. It is an error that wraps os.ErrNotExist when
// there is none.
func (m *Manager) Stats(ctx context.Context, p string) (Stats, error) {
	r, err := m.reader(ctx, p)
	if err != nil {
		return Stats{}, err
	}
	s := Stats{Time: time.Now()}
	if m.unified("cpu") {
		s.CPU = time.Duration(keyed(r.read("cpu", "cpu.stat"), "usage_usec")) * time.Microsecond
	} else {
		s.CPU = time.Duration(number(r.read("cpuacct", "cpuacct.usage")))
	}
	m.memoryStats(p, r, &s)
	s.Pids = number(r.read("pids", "pids.current"))
	for _, h := range m.made {
		if h.unified {
			s.CPUPressure = parsePressure(r.in(h, "cpu.pressure"))
			s.MemoryPressure = parsePressure(r.in(h, "memory.pressure"))
			s.IOPressure = parsePressure(r.in(h, "io.pressure"))
		}
	}
	return s, r.err
}

func (m *Manager) memoryStats(p string, r *reader, s *Stats) {
	stat := r.read("memory", "memory.stat")
	var cache uint64
	if m.Unified() {
		s.MemoryUsage, s.MemoryLimit = number(r.read("memory", "memory.current")), limit(r.read("memory", "memory.max"))
		s.MemoryRSS, cache = keyed(stat, "anon"), keyed(stat, "inactive_file")
		s.OOMKills = keyed(r.read("memory", "memory.events"), "oom_kill")
	} else {
		s.MemoryUsage, s.MemoryLimit = number(r.read("memory", "memory.usage_in_bytes")), limit(r.read("memory", "memory.limit_in_bytes"))
		s.MemoryRSS, cache = keyed(stat, "total_rss"), keyed(stat, "total_inactive_file")
		s.OOMKills = oomKills(m.find("memory").path(p))
	}
	s.MemoryWorkingSet = s.MemoryUsage - min(cache, s.MemoryUsage)
}

// oomKills adds up a v1 tree: the kernel counts each cgroup by itself.
func oomKills(dir string) uint64 {
	text, _ := readFile(dir, "memory.oom_control")
	n := keyed(text, "oom_kill")
	below, _ := children(dir)
	for _, c := range below {
		n += oomKills(filepath.Join(dir, c))
	}
	return n
}

// Limits reads back the limits of the cgroup at p. CPU shares of v2 come from
// the weight, which is coarser. HugePages has all sizes of the machine; Unified
// has memory.min, memory.low and memory.high where they are set. It is an error
// that wraps os.ErrNotExist when there is no such cgroup.
func (m *Manager) Limits(ctx context.Context, p string) (Values, error) {
	r, err := m.reader(ctx, p)
	if err != nil {
		return Values{}, err
	}
	var v Values
	var shares, period uint64
	var quota int64
	if m.unified("cpu") {
		shares = values.WeightToShares(number(r.read("cpu", "cpu.weight")))
		q, per, _ := strings.Cut(strings.TrimSpace(r.read("cpu", "cpu.max")), " ")
		quota, period = orNone(q), number(per)
	} else {
		shares = number(r.read("cpu", "cpu.shares"))
		quota, period = orNone(r.read("cpu", "cpu.cfs_quota_us")), number(r.read("cpu", "cpu.cfs_period_us"))
	}
	v.CPUShares, v.CPUQuota, v.CPUPeriod = &shares, &quota, &period
	memory, file := "memory.limit_in_bytes", ".limit_in_bytes"
	if m.Unified() {
		memory = "memory.max"
		v.Unified = r.protection()
	}
	if m.unified("hugetlb") {
		file = ".max"
	}
	mem, n := orNone(r.read("memory", memory)), orNone(r.read("pids", "pids.max"))
	v.Memory, v.PidsMax = &mem, &n
	for _, size := range m.sizes {
		if v.HugePages == nil {
			v.HugePages = map[string]int64{}
		}
		v.HugePages[size] = orNone(r.read("hugetlb", "hugetlb."+size+file))
	}
	return v, r.err
}

func (r *reader) protection() map[string]string {
	var files map[string]string
	for file, unset := range map[string]string{"memory.min": "0", "memory.low": "0", "memory.high": "max"} {
		if s := strings.TrimSpace(r.read("memory", file)); s != "" && s != unset {
			if files == nil {
				files = map[string]string{}
			}
			files[file] = s
		}
	}
	return files
}

// orNone reads a limit; none is -1.
func orNone(s string) int64 {
	if n := limit(s); n != 0 {
		return int64(n)
	}
	if strings.TrimSpace(s) == "0" {
		return 0
	}
	return -1
}

// reader reads files of one cgroup and keeps the first error.
type reader struct {
	m   *Manager
	p   string
	err error
}

func (m *Manager) reader(ctx context.Context, p string) (*reader, error) {
	if err := CheckPath(m.root, p); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(m.find("memory").path(p)); err != nil {
		return nil, fmt.Errorf("read cgroup %s: %w", p, err)
	}
	return &reader{m: m, p: p}, nil
}

func (r *reader) read(controller, file string) string {
	h := r.m.find(controller)
	if h == nil {
		return ""
	}
	return r.in(h, file)
}

func (r *reader) in(h *hierarchy, file string) string {
	text, err := readFile(h.path(r.p), file)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("read cgroup %s: %w", r.p, err)
	}
	return text
}
