package cri

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// recover removes what a dead process left half made. What cannot be removed
// now stays listed as not ready, for its owner to try again. What is locked is
// another's that lives, or a child that a process forked just before it died
// holds the lock until it executes its program: busy says that there are such.
func (r *Runtime) recover(ctx context.Context) (busy bool, err error) {
	if err := errors.Join(r.sandboxes.sweep(), r.containers.sweep()); err != nil {
		return false, err
	}
	busy, err = r.recoverContainers(ctx)
	if err != nil {
		return false, err
	}
	more, err := r.recoverSandboxes(ctx)
	if err != nil {
		return false, err
	}
	return busy || more, r.recoverVolumes(ctx)
}

// recoverLater goes on until nothing is half made.
func (r *Runtime) recoverLater(ctx context.Context) {
	busy := true
	for wait := 20 * time.Millisecond; busy; wait = min(2*wait, time.Second) {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		var err error
		if busy, err = r.recover(ctx); err != nil {
			r.o.Log.Error(err, "remove what was half made")
		}
	}
}

// reserve gives the name to id. One that is another's which a dead process left
// half made is waited for, shortly.
func (r *Runtime) reserve(ctx context.Context, name, id string) error {
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		err := r.names.reserve(name, id)
		if status.Code(err) != codes.AlreadyExists || wait > time.Second || !r.halfMade(r.names.owner(name)) {
			return err
		}
		if _, err := r.recover(ctx); err != nil {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

func (r *Runtime) halfMade(id string) bool {
	if s, err := r.sandboxes.get(id); err == nil {
		return s.Phase == making
	}
	c, err := r.containers.get(id)
	return err == nil && (c.Phase == making || c.Phase == leaving)
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

func (r *Runtime) recoverContainers(ctx context.Context) (busy bool, err error) {
	all, err := r.containers.all()
	for _, c := range all {
		if !r.abandoned(c) {
			continue
		}
		held, rerr := r.recoverContainer(ctx, c)
		busy = busy || held
		err = errors.Join(err, wrap(rerr, "remove half-made container %s", c.ID))
	}
	return busy, err
}

// abandoned says that c is of no use to anybody but the one who is making or
// removing it, if that one lives.
func (r *Runtime) abandoned(c *ctr) bool {
	_, err := r.sandboxes.get(c.Sandbox)
	return c.Phase == making || c.Phase == leaving || errors.Is(err, fs.ErrNotExist)
}

func (r *Runtime) recoverContainer(ctx context.Context, c *ctr) (busy bool, err error) {
	done, err := r.ops.lock(ctx, c.ID) // we may be removing it ourselves
	if err != nil {
		return false, err
	}
	defer done()
	unlock, ok := dead(r.containers.path(c.ID))
	if !ok {
		return true, nil
	}
	defer unlock()
	again, err := r.containers.get(c.ID)
	if err != nil || !r.abandoned(again) {
		return false, nil // it was finished or removed meanwhile
	}
	r.o.Log.Info("removing a container that was half made", "container", c.ID, "name", c.Name)
	return false, r.discard(ctx, again)
}

func (r *Runtime) recoverSandboxes(ctx context.Context) (busy bool, err error) {
	all, err := r.sandboxes.all()
	for _, s := range all {
		if s.Phase != making {
			continue
		}
		unlock, ok := dead(r.sandboxes.path(s.ID))
		if !ok {
			busy = true
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
	return busy, err
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
