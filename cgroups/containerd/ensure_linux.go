package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/internal/sys"
)

var (
	effectV1    = sys.NewEffect("containerd/v1")
	effectMake  = sys.NewEffect("containerd/make")
	effectLimit = sys.NewEffect("containerd/limit")
	effectRmdir = sys.NewEffect("containerd/rmdir")
)

// Ensure is that of [cgroups.Manager], with the same refusals.
func (m *Manager) Ensure(ctx context.Context, p string, v cgroups.Values) error {
	if err := m.Check(p, v); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	absent := m.absent(p)
	if err := m.ensure(ctx, p, split(v, m.unified, m.HugePageSizes())); err != nil {
		return errors.Join(err, remove(absent))
	}
	return nil
}

func (m *Manager) ensure(ctx context.Context, p string, to *parts) error {
	if len(m.v1) > 0 {
		if err := m.ensureV1(ctx, p, &to.v1); err != nil {
			return err
		}
	}
	if m.v2 != nil {
		if err := m.ensureV2(ctx, p, &to.v2); err != nil {
			return err
		}
	}
	if to.rest.PidsMax != nil || to.rest.Unified != nil {
		return m.Manager.Ensure(ctx, p, to.rest)
	}
	return nil
}

// absent lists the directories of p that are not there.
func (m *Manager) absent(p string) []string {
	var dirs []string
	for _, h := range m.Hierarchies() {
		dir := filepath.Join(h.Dir, p)
		if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// remove removes new cgroups; nothing is in them yet.
func remove(dirs []string) error {
	for _, dir := range dirs {
		err := effectRmdir.Do(func() error { return unix.Rmdir(dir) })
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return &os.PathError{Op: "rmdir", Path: dir, Err: err}
		}
	}
	return nil
}

// ensureV1 makes and limits p in the hierarchies of v1, in one call of the
// library.
func (m *Manager) ensureV1(ctx context.Context, p string, r *specs.LinuxResources) error {
	err := m.newV1(p, r)
	if errors.Is(err, unix.EINVAL) && r.CPU != nil && r.CPU.Period != nil {
		// With the old quota the new period would be more than the parent's share:
		// the quota goes first.
		if err = m.newV1(p, &specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: r.CPU.Quota}}); err == nil {
			err = m.newV1(p, r)
		}
	}
	if errors.Is(err, unix.EBUSY) && r.Memory != nil {
		// A limit below what is in use; ours says how much that is.
		if cause := m.Manager.Ensure(ctx, p, cgroups.Values{Memory: r.Memory.Limit}); cause != nil {
			return cause
		}
		err = m.newV1(p, r) // less is in use now
	}
	if err != nil {
		return fmt.Errorf("make and limit cgroup %s: %w", p, err)
	}
	return nil
}

func (m *Manager) newV1(p string, r *specs.LinuxResources) error {
	makeAll := func() error {
		_, err := cgroup1.New(cgroup1.StaticPath(p), r, hierarchy(m.v1))
		return err
	}
	return again(func() error { return effectV1.Do(makeAll) })
}

// again repeats what makes cgroups: another call may remove an ancestor in
// between.
func again(do func() error) error {
	var err error
	for range 10 {
		if err = do(); !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENODEV) {
			return err
		}
	}
	return err
}

// ensureV2 makes p in the unified hierarchy, sees to it that it has controllers,
// and limits it.
func (m *Manager) ensureV2(ctx context.Context, p string, r *cgroup2.Resources) error {
	var g *cgroup2.Manager
	makeIt := func() (err error) { g, err = m.makeV2(p); return err }
	if err := again(func() error { return effectMake.Do(makeIt) }); err != nil {
		// The library names the last cgroup that cannot offer controllers; ours the
		// first, with what to do.
		if cause := m.Manager.Ensure(ctx, p, cgroups.Values{}); cause != nil {
			return cause
		}
		return fmt.Errorf("make cgroup %s: %w", p, err)
	}
	if len(r.Values()) == 0 {
		return nil
	}
	if err := effectLimit.Do(func() error { return m.limitV2(g, r) }); err != nil {
		return fmt.Errorf("limit cgroup %s: %w", p, err)
	}
	return nil
}

func (m *Manager) makeV2(p string) (*cgroup2.Manager, error) {
	g, err := cgroup2.Load(p, cgroup2.WithMountpoint(m.v2.Dir))
	if err != nil {
		return nil, err
	}
	has, err := g.Controllers()
	if errors.Is(err, unix.ENOENT) {
		// Only here, and without resources: when it fails it removes p, also if it was
		// there.
		if g, err = cgroup2.NewManager(m.v2.Dir, p, &cgroup2.Resources{}); err != nil {
			return nil, err
		}
		has, err = g.Controllers()
	}
	if err != nil || !slices.ContainsFunc(m.v2.Controllers, func(c string) bool { return !slices.Contains(has, c) }) {
		return g, err
	}
	return g, g.ToggleControllers(m.v2.Controllers, cgroup2.Enable)
}

func (m *Manager) limitV2(g *cgroup2.Manager, r *cgroup2.Resources) error {
	err := g.Update(r)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOENT) {
		// Another call offers the controllers right now: the kernel says so before
		// the files are there. Offering them again waits for that.
		if err = g.ToggleControllers(m.v2.Controllers, cgroup2.Enable); err == nil {
			err = g.Update(r)
		}
	}
	return err
}
