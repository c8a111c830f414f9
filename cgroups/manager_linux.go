package cgroups

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Manager makes and removes cgroups below one root. It keeps no state of its
// own: two Managers, also of two processes, see the same cgroups. Its methods
// are safe for concurrent use; calls for one path are the caller's to order.
type Manager struct {
	root  string
	all   []*hierarchy // where a removed cgroup must be gone from
	made  []*hierarchy // where a new one is made
	sizes []string     // of huge pages
}

// needed are the controllers without which pods cannot be limited and measured;
// wanted are used where they are.
var (
	needed = []string{"cpu", "cpuacct", "memory", "pids"}
	wanted = []string{"cpuset", "hugetlb", "blkio", "io"}
)

// useful are those of both that a hierarchy has.
func (h *hierarchy) useful() []string {
	var names []string
	for _, c := range slices.Concat(needed, wanted) {
		if h.has(c) {
			names = append(names, c)
		}
	}
	return names
}

// Open finds the mounted hierarchies. It returns a [*MissingControllerError]
// when cpu, memory or pids is on none of them, and an [*AccessError] when this
// process may not make cgroups there. It changes nothing.
func Open(o Options) (*Manager, error) {
	root, err := checkRoot(o.Root)
	if err != nil {
		return nil, err
	}
	if o.MountInfo == "" {
		o.MountInfo = "/proc/self/mountinfo"
	}
	mounts, err := os.ReadFile(o.MountInfo)
	if err != nil {
		return nil, fmt.Errorf("find cgroup hierarchies: %w", err)
	}
	m := &Manager{root: root, all: parseMounts(string(mounts))}
	if len(m.all) == 0 {
		return nil, errors.New("no cgroup hierarchy is mounted: mount -t cgroup2 none /sys/fs/cgroup")
	}
	for _, h := range m.all {
		if h.unified {
			b, err := os.ReadFile(filepath.Join(m.offering(h), "cgroup.controllers"))
			if err != nil {
				return nil, fmt.Errorf("ask %s for its controllers: %w", h.dir, err)
			}
			h.controllers = strings.Fields(string(b))
		}
	}
	if err := m.complete(); err != nil {
		return nil, err
	}
	m.sizes = hugePageSizes(m.find("hugetlb"))
	return m, nil
}

// existing is the lowest cgroup on the way to the root that is there.
func (m *Manager) existing(h *hierarchy) string {
	for c := m.root; c != "/"; c = path.Dir(c) {
		if _, err := os.Stat(h.path(c)); err == nil {
			return h.path(c)
		}
	}
	return h.dir
}

// offering is the highest v2 cgroup above the root that can be told to offer its
// controllers to those below it; what is not offered yet, Ensure asks for.
func (m *Manager) offering(h *hierarchy) string {
	at := "/"
	for _, part := range append([]string{""}, strings.Split(m.root, "/")...) {
		at = path.Join(at, part)
		if unix.Access(filepath.Join(h.path(at), "cgroup.subtree_control"), unix.W_OK) == nil {
			return h.path(at)
		}
	}
	return m.existing(h)
}

// complete checks the controllers and rights, and chooses the hierarchies in
// which cgroups are made: those with a controller of use, and the unified one,
// which can kill and has pressure figures.
func (m *Manager) complete() error {
	for _, c := range needed {
		if c == "cpuacct" && m.unified("cpu") {
			continue // part of cpu there
		}
		if m.find(c) == nil {
			return &MissingControllerError{Controller: c, Hint: m.hint(c)}
		}
	}
	for _, h := range m.all {
		if !h.unified && len(h.useful()) == 0 {
			continue
		}
		m.made = append(m.made, h)
		dir := m.existing(h)
		switch err := unix.Access(dir, unix.W_OK); {
		case errors.Is(err, unix.EROFS):
			return &AccessError{Dir: dir, Read: true}
		case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
			return &AccessError{Dir: dir, UID: os.Geteuid()}
		case err != nil:
			return fmt.Errorf("look at %s: %w", dir, err)
		}
	}
	return nil
}

// hint says how to get a controller.
func (m *Manager) hint(controller string) string {
	b, _ := os.ReadFile("/proc/cgroups")
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 4 || f[0] != controller {
			continue
		}
		if f[3] == "0" {
			return "the kernel has it switched off; boot with cgroup_enable=" + controller
		}
		if len(m.all) == 1 && m.all[0].unified {
			break
		}
		return fmt.Sprintf("it is mounted nowhere; mount -t cgroup -o %s cgroup /sys/fs/cgroup/%s", controller, controller)
	}
	for _, h := range m.all {
		if h.unified {
			return fmt.Sprintf("%s does not offer it; the cgroup above must delegate it (cgroup.subtree_control), or the kernel must have it (boot with cgroup_enable=%s)", m.offering(h), controller)
		}
	}
	return "the kernel does not have it"
}

// find returns the hierarchy of a controller, or nil.
func (m *Manager) find(controller string) *hierarchy {
	for _, h := range m.all {
		if h.has(controller) {
			return h
		}
	}
	return nil
}

// Hierarchies returns those in which Ensure makes cgroups.
func (m *Manager) Hierarchies() []Hierarchy {
	var all []Hierarchy
	for _, h := range m.made {
		all = append(all, Hierarchy{Dir: h.dir, Unified: h.unified, Controllers: h.useful()})
	}
	return all
}

// Unified reports whether memory is on cgroup v2.
func (m *Manager) Unified() bool { return m.unified("memory") }

func (m *Manager) unified(controller string) bool {
	h := m.find(controller)
	return h != nil && h.unified
}

// HugePageSizes returns the page sizes that can be limited, as the kernel names
// them; none without the controller.
func (m *Manager) HugePageSizes() []string { return slices.Clone(m.sizes) }

// CountsSwap reports whether the kernel can limit what a cgroup swaps.
func (m *Manager) CountsSwap() bool {
	h := m.find("memory")
	if !h.unified {
		return exists(filepath.Join(h.dir, "memory.memsw.limit_in_bytes"))
	}
	// The root cgroup has no such file. Where there is no other yet, ask whether
	// the kernel has swap at all.
	dirs, _ := filepath.Glob(filepath.Join(h.dir, "*", "memory.max"))
	if len(dirs) == 0 {
		return exists("/proc/swaps")
	}
	return exists(filepath.Join(filepath.Dir(dirs[0]), "memory.swap.max"))
}

func hugePageSizes(h *hierarchy) []string {
	if h == nil {
		return nil
	}
	entries, _ := os.ReadDir("/sys/kernel/mm/hugepages")
	var sizes []string
	for _, e := range entries {
		s, _ := strings.CutPrefix(e.Name(), "hugepages-")
		if kb, err := strconv.ParseInt(strings.TrimSuffix(s, "kB"), 10, 64); err == nil {
			if name, err := pageName(kb << 10); err == nil {
				sizes = append(sizes, name)
			}
		}
	}
	slices.Sort(sizes)
	return sizes
}

// List returns the paths of the cgroups right below p, sorted; none when p does
// not exist. Unlike the other methods it may look at "/".
func (m *Manager) List(ctx context.Context, p string) ([]string, error) {
	if p != "/" {
		if err := CheckPath(m.root, p); err != nil {
			return nil, err
		}
	}
	var paths []string
	for _, h := range m.all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		names, err := children(h.path(p))
		if err != nil {
			return nil, fmt.Errorf("list cgroups in %s: %w", h.path(p), err)
		}
		for _, n := range names {
			paths = append(paths, path.Join(p, n))
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}
