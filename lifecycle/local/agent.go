package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/internal/sys"
)

// Agent drives all pods of the root, those that come later too, until ctx ends.
// It takes up each at once and acts on what happened while nobody did; a pod
// that another process drives is taken over when that process lets go. It is the
// same code that drives a pod after Run.
func (n *Node) Agent(ctx context.Context) error {
	w, err := sys.WatchDirs(n.podsDir())
	if err != nil {
		return err
	}
	defer w.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		again, err := n.adoptAll(ctx, w, &wg)
		if err != nil {
			return err
		}
		n.sawDeletions() // also those of before the watch was there
		n.look(ctx, w, again)
	}
	return nil
}

// look waits for a change under the pods directory. While others drive pods it
// also looks again by itself: no event tells that a process died.
func (n *Node) look(ctx context.Context, w *sys.DirWatch, again bool) {
	if again {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
	}
	w.Wait(ctx)
}

// adoptAll takes up what can be taken up; again says that some pods are another's.
func (n *Node) adoptAll(ctx context.Context, w *sys.DirWatch, wg *sync.WaitGroup) (again bool, err error) {
	entries, err := os.ReadDir(n.podsDir())
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		uid := types.UID(e.Name())
		if n.driven(uid) != nil {
			continue
		}
		h, err := n.adopt(ctx, uid)
		switch {
		case isGone(err):
			n.removeUnbegun(uid)
		case errors.Is(err, errLocked):
			again = true
		case err != nil:
			n.o.Log.Error(err, "adopt pod", "uid", uid)
		default:
			// pod.json is where others ask for the pod's end.
			if err := w.Add(n.podDir(uid)); err != nil && !isGone(err) {
				return again, err
			}
			wg.Go(func() {
				if err := h.Gone(ctx); err != nil && ctx.Err() == nil {
					n.o.Log.Error(err, "drive pod", "pod", h.d.pod.Name)
				}
			})
		}
	}
	return again, nil
}

// adopt drives a pod that another process began: errLocked while one still does.
func (n *Node) adopt(ctx context.Context, uid types.UID) (*Handle, error) {
	runner, err := n.drive()
	if err != nil {
		return nil, err
	}
	rec, err := n.read(uid)
	if err != nil {
		return nil, err
	}
	lock, err := tryLock(n.lockFile(uid))
	if err != nil {
		return nil, err
	}
	// Read again: it may have gone, or changed, before the lock was ours.
	if rec, err = n.read(uid); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := n.loadObjects(ctx, uid); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	d := newDriven()
	d.pod, d.lock = rec.Pod, lock
	n.mu.Lock()
	n.pods[uid] = d
	n.mu.Unlock()
	if _, err := runner.Adopt(uid); err != nil {
		n.mu.Lock()
		delete(n.pods, uid)
		n.mu.Unlock()
		d.release()
		return nil, err
	}
	n.follow(runner, d)
	return &Handle{n, d}, nil
}

// sawDeletions passes on what other processes wrote into pod.json.
func (n *Node) sawDeletions() {
	n.mu.Lock()
	var uids []types.UID
	for uid := range n.pods {
		uids = append(uids, uid)
	}
	runner := n.runner
	n.mu.Unlock()
	for _, uid := range uids {
		rec, err := n.read(uid)
		if err != nil || rec.Deletion == nil || runner == nil {
			continue
		}
		if err := runner.End(uid, *rec.Deletion); err != nil {
			n.o.Log.Error(err, "delete pod", "uid", uid)
		}
	}
}

// isGone tells that a pod vanished while it was looked at.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
