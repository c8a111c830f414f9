//go:build cgo

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/manager"

	"github.com/lifepod/lifepod/internal/sys"
)

var (
	effectCgroup = sys.NewEffect("container/supervisor-cgroup")
	effectEarly  = sys.NewEffect("container/cgroup")
)

const unifiedHybrid = "/sys/fs/cgroup/unified"

// joinCgroup moves this process to a cgroup of its own in every hierarchy, so
// that it does not die with that of the agent that started it.
func joinCgroup(root string) error {
	m, err := supervisorCgroup(root)
	if err != nil {
		return err
	}
	return effectCgroup.Do(func() error {
		if err := m.Apply(os.Getpid()); err != nil {
			return fmt.Errorf("join cgroup %s: %w", path.Join(root, "supervisor"), err)
		}
		if !hybrid() {
			return nil
		}
		dir := filepath.Join(unifiedHybrid, root, "supervisor")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make cgroup: %w", err)
		}
		return enter(dir)
	})
}

func supervisorCgroup(root string) (cgroups.Manager, error) {
	return manager.New(&cgroups.Cgroup{Path: path.Join(root, "supervisor"), Resources: &cgroups.Resources{}})
}

// hybrid tells that beside the v1 hierarchies there is a unified one.
func hybrid() bool {
	_, err := os.Stat(filepath.Join(unifiedHybrid, "cgroup.procs"))
	return err == nil && !cgroups.IsCgroup2UnifiedMode()
}

// prepare gets the kernel over the wait of a v1 cgroup's first new process: it
// stops all forks of the machine for that, after an RCU grace period (here 5 to 12
// ms) unless the last such change was just now. Entering our own cgroup once more
// is such a change, and changes nothing. On v2 processes are born in their cgroup.
func (s *Supervisor) prepare() {
	if cgroups.IsCgroup2UnifiedMode() {
		return
	}
	dir, err := s.ownCgroup()
	if err == nil {
		s.wg.Go(func() { _ = enter(dir) })
	}
}

// makeCgroup makes the directories of the container's cgroup while its process is
// being prepared: on v1 there are a dozen. What it cannot make, whoever puts the
// process there says. A runtime program makes its own.
func (c *ctr) makeCgroup(runtime []string) (done chan struct{}) {
	done = make(chan struct{})
	if cgroups.IsCgroup2UnifiedMode() || c.cgroup == nil || len(runtime) > 0 {
		close(done)
		return done
	}
	go func() {
		defer close(done)
		_ = effectEarly.Do(func() error { return c.cgroup.Apply(-1) })
	}()
	return done
}

// cgroupOf finds the supervisor's directory in one of the v1 hierarchies. The lock
// that prepare is about is one for all of them.
func cgroupOf(root string) (string, error) {
	m, err := supervisorCgroup(root)
	if err != nil {
		return "", err
	}
	for _, dir := range m.GetPaths() {
		return dir, nil
	}
	return "", errors.New("no cgroup hierarchy is mounted")
}

func enter(dir string) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0)
}

// leaveCgroup moves this process out of its cgroup, and removes that and the
// root where it is empty.
func leaveCgroup(root string) {
	m, err := supervisorCgroup(root)
	if err != nil {
		return
	}
	dirs := m.GetPaths()
	if hybrid() {
		dirs["unified"] = filepath.Join(unifiedHybrid, root, "supervisor")
	}
	_ = effectCgroup.Do(func() error {
		for _, dir := range dirs {
			base, ok := strings.CutSuffix(dir, path.Join(root, "supervisor"))
			if !ok || enter(base) != nil || os.Remove(dir) != nil {
				continue
			}
			for up := root; up != "/" && os.Remove(base+up) == nil; {
				up = path.Dir(up)
			}
		}
		return nil
	})
}
