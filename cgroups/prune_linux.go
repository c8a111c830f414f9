package cgroups

import (
	"context"
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"
)

// Prune removes the cgroup at p and then those above it, up to the Manager's
// root and with it, as far as they are empty: it kills nothing and passes over
// what still has processes or cgroups below it.
func (m *Manager) Prune(ctx context.Context, p string) error {
	if err := CheckPath(m.root, p); err != nil {
		return err
	}
	for ; p != "/" && ctx.Err() == nil; p = path.Dir(p) {
		for _, h := range m.all {
			err := rmdir(h.path(p))
			if err != nil && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOTEMPTY) {
				return fmt.Errorf("prune cgroup %s: %w", p, err)
			}
		}
		if p == m.root {
			break
		}
	}
	return ctx.Err()
}
