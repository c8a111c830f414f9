package cgroups

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// hierarchy is one mounted tree of cgroups.
type hierarchy struct {
	dir         string // where it is mounted
	unified     bool
	controllers []string // of v1, "name=systemd" included; of v2 as the kernel says
}

func (h *hierarchy) has(controller string) bool { return slices.Contains(h.controllers, controller) }

func (h *hierarchy) path(cgroup string) string { return filepath.Join(h.dir, cgroup) }

// v1Controllers are the names that can stand among a v1 mount's options.
var v1Controllers = []string{
	"blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "hugetlb", "memory", "net_cls", "net_prio", "perf_event", "pids", "rdma", "misc",
}

// parseMounts finds the hierarchies in a mountinfo file; one that is mounted
// several times counts where all of it shows, and there at the shortest path.
// Lines that are not understood are left out.
func parseMounts(mountinfo string) []*hierarchy {
	type mount struct {
		hierarchy
		id    string // what makes two mounts the same tree
		whole bool
	}
	var found []mount
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 6 || len(g) < 3 || g[0] != "cgroup" && g[0] != "cgroup2" {
			continue
		}
		m := mount{id: f[2], whole: f[3] == "/"}
		m.dir, m.unified = unescape(f[4]), g[0] == "cgroup2"
		if !m.unified {
			m.controllers = v1Names(g[2])
		}
		found = append(found, m)
	}
	slices.SortStableFunc(found, func(a, b mount) int {
		if a.whole != b.whole {
			if a.whole {
				return -1
			}
			return 1
		}
		return len(a.dir) - len(b.dir)
	})
	var hs []*hierarchy
	seen := map[string]bool{}
	for _, m := range found {
		if !seen[m.id] {
			seen[m.id] = true
			hs = append(hs, &m.hierarchy)
		}
	}
	return hs
}

func v1Names(options string) []string {
	var names []string
	for o := range strings.SplitSeq(options, ",") {
		if slices.Contains(v1Controllers, o) || strings.HasPrefix(o, "name=") {
			names = append(names, o)
		}
	}
	return names
}

// unescape undoes the octal escapes of a mountinfo path.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
