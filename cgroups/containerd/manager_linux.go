package containerd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/containerd/cgroups/v3/cgroup1"

	"github.com/lifepod/lifepod/cgroups"
)

// Manager makes and removes cgroups below one root. It keeps no state of its own
// and may be mixed with *[cgroups.Manager]s of the same root. Its methods are safe
// for concurrent use; calls for one path are the caller's to order.
type Manager struct {
	*cgroups.Manager
	v1       []cgroup1.Subsystem // where cgroups are made; none on v2
	measured []cgroup1.Subsystem // those of v1 with figures
	v2       *cgroups.Hierarchy  // nil without
	memory   string              // where the controller's hierarchy is mounted
}

// Open finds the mounted hierarchies. It returns the errors of [cgroups.Open],
// and one for a v1 controller in a place where the library does not look. It
// changes nothing.
func Open(o cgroups.Options) (*Manager, error) {
	own, err := cgroups.Open(o)
	if err != nil {
		return nil, err
	}
	m := &Manager{Manager: own}
	for _, h := range own.Hierarchies() {
		if slices.Contains(h.Controllers, "memory") {
			m.memory = h.Dir
		}
		if h.Unified {
			m.v2 = &h
			continue
		}
		for _, c := range h.Controllers {
			if err := m.add(h.Dir, cgroup1.Name(c)); err != nil {
				return nil, fmt.Errorf("cgroup controller %q: %w", c, err)
			}
		}
	}
	return m, nil
}

// add readies a controller of v1 that is mounted at dir. The library is told the
// directory above it.
func (m *Manager) add(dir string, controller cgroup1.Name) error {
	above := filepath.Dir(dir)
	if err := sameDir(dir, filepath.Join(above, string(controller))); err != nil {
		return err
	}
	switch controller {
	case cgroup1.Cpu: // its figures are cpuacct's
		m.v1 = append(m.v1, cgroup1.NewCpu(above))
	case cgroup1.Cpuacct:
		s := cgroup1.NewCpuacct(above)
		m.v1, m.measured = append(m.v1, s), append(m.measured, s)
	case cgroup1.Memory:
		s := cgroup1.NewMemory(above, cgroup1.IgnoreModules("memsw", "kmem", "kmem.tcp"))
		m.v1, m.measured = append(m.v1, s), append(m.measured, s)
	case cgroup1.Pids:
		s := cgroup1.NewPids(above)
		m.v1, m.measured = append(m.v1, s), append(m.measured, s)
	case cgroup1.Cpuset:
		m.v1 = append(m.v1, cgroup1.NewCpuset(above))
	case cgroup1.Blkio:
		m.v1 = append(m.v1, cgroup1.NewBlkio(above))
	case cgroup1.Hugetlb:
		s, err := cgroup1.NewHugetlb(above)
		if err != nil {
			return err
		}
		m.v1 = append(m.v1, s)
	default:
		return errors.New("containerd's library does not know it; use package cgroups")
	}
	return nil
}

// sameDir refuses a controller where the library would miss it.
func sameDir(mounted, expected string) error {
	is, err := os.Stat(mounted)
	if err != nil {
		return err
	}
	looked, err := os.Stat(expected)
	if err != nil || !os.SameFile(is, looked) {
		return fmt.Errorf("it is mounted at %s, and containerd's library looks in %s: link the one to the other, or use package cgroups", mounted, expected)
	}
	return nil
}

// hierarchy lets the library work in some of v1.
func hierarchy(s []cgroup1.Subsystem) cgroup1.InitOpts {
	return cgroup1.WithHierarchy(func() ([]cgroup1.Subsystem, error) { return s, nil })
}

// unified tells a controller's version.
func (m *Manager) unified(controller string) bool {
	return m.v2 != nil && slices.Contains(m.v2.Controllers, controller)
}
