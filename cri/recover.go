package cri

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// recover removes what a dead process left half made. What cannot be removed
// now stays listed as not ready, for its owner to try again.
func (r *Runtime) recover(ctx context.Context) error {
	if err := errors.Join(r.sandboxes.sweep(), r.containers.sweep()); err != nil {
		return err
	}
	if err := r.recoverContainers(ctx); err != nil {
		return err
	}
	if err := r.recoverSandboxes(ctx); err != nil {
		return err
	}
	return r.recoverVolumes(ctx)
}

// dead takes the lock that the maker of a directory holds. It fails while the
// maker lives.
func dead(dir string) (unlock func(), ok bool) {
	f, err := lockFileOf(dir, exclusiveNow)
	if err != nil {
		return nil, false
	}
	return func() { f.Close() }, true
}

func (r *Runtime) recoverContainers(ctx context.Context) error {
	all, err := r.containers.all()
	for _, c := range all {
		_, sandboxErr := r.sandboxes.get(c.Sandbox)
		orphan := errors.Is(sandboxErr, fs.ErrNotExist)
		if c.Phase != making && c.Phase != leaving && !orphan {
			continue
		}
		unlock, ok := dead(r.containers.path(c.ID))
		if !ok {
			continue
		}
		if again, gone := r.containers.get(c.ID); gone != nil || !orphan && again.Phase != making && again.Phase != leaving {
			unlock() // it was finished or removed meanwhile
			continue
		}
		r.o.Log.Info("removing a container that was half made", "container", c.ID, "name", c.Name)
		err = errors.Join(err, wrap(r.discard(ctx, c), "remove half-made container %s", c.ID))
		unlock()
	}
	return err
}

func (r *Runtime) recoverSandboxes(ctx context.Context) error {
	all, err := r.sandboxes.all()
	for _, s := range all {
		if s.Phase != making {
			continue
		}
		unlock, ok := dead(r.sandboxes.path(s.ID))
		if !ok {
			continue
		}
		if again, gone := r.sandboxes.get(s.ID); gone == nil && again.Phase == making {
			r.o.Log.Info("removing a sandbox that was half made", "sandbox", s.ID, "name", s.Name)
			half := *s
			if undo := r.undoSandbox(ctx, &half, nil); undo != nil {
				r.o.Log.Error(undo, "a half-made sandbox could not be removed, it is listed as not ready", "sandbox", s.ID)
			}
		}
		unlock()
	}
	return err
}

// recoverVolumes removes what lies in Root of containers that an earlier boot
// took away: their volumes and root filesystems.
func (r *Runtime) recoverVolumes(ctx context.Context) error {
	entries, err := os.ReadDir(r.volumesDir(""))
	for _, e := range entries {
		id := e.Name()
		if !idPattern.MatchString(id) {
			continue
		}
		if _, known := os.Lstat(r.containers.path(id)); !errors.Is(known, fs.ErrNotExist) {
			continue
		}
		err = errors.Join(err,
			wrap(r.o.Roots.Unmount(ctx, id, r.containers.path(id, dirRootfs)), "remove the root filesystem of lost container %s", id),
			os.RemoveAll(filepath.Join(r.volumesDir(""), id)))
	}
	return err
}
