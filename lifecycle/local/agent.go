package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/pod"
)

// Agent drives all pods of the root, those that come later too, until ctx ends.
// It takes up each at once and acts on what happened while nobody did; a pod
// that another process drives is taken over when that process lets go. It is the
// same code that drives a pod after Run. Since it returns no handles, it tells what
// happens to the log of the Options.
func (n *Node) Agent(ctx context.Context) error {
	// Also without pods: Close then removes what is left of the cgroups above them.
	if _, err := n.drive(); err != nil {
		return err
	}
	w, err := sys.WatchDirs(n.podsDir())
	if err != nil {
		return err
	}
	defer w.Close()
	n.o.Log.Info("driving the pods of the root", "root", n.o.Root)
	var wg sync.WaitGroup
	defer wg.Wait()
	others := map[types.UID]bool{}
	for ctx.Err() == nil {
		again, err := n.adoptAll(ctx, &wg, others)
		if err != nil {
			return err
		}
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

// adoptAll takes up what can be taken up; again says that some pods are another's,
// which it logs when it first finds one in others' hands.
func (n *Node) adoptAll(ctx context.Context, wg *sync.WaitGroup, others map[types.UID]bool) (again bool, err error) {
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
			if !others[uid] {
				n.o.Log.Info("another process drives the pod, waiting for it to let go", "pod", n.nameOf(uid))
			}
			others[uid] = true
		case err != nil:
			n.o.Log.Error(err, "adopt pod", "pod", n.nameOf(uid))
		default:
			delete(others, uid)
			wg.Go(func() { n.logLife(ctx, h) })
		}
	}
	return again, nil
}

// nameOf is what a pod is called, or its UID where that cannot be read.
func (n *Node) nameOf(uid types.UID) string {
	rec, err := n.read(uid)
	if err != nil {
		return string(uid)
	}
	return rec.Pod.Namespace + "/" + rec.Pod.Name
}

// logLife logs a pod's events and what no event tells, its phase and the ends of
// its containers, until nothing is left of it or ctx ends.
func (n *Node) logLife(ctx context.Context, h *Handle) {
	log := n.o.Log.WithValues("pod", h.d.pod.Namespace+"/"+h.d.pod.Name)
	log.Info("driving the pod")
	following, enough := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for e, err := range h.Events(following) {
			if err == nil {
				log.Info(e.Message, "type", e.Type, "reason", e.Reason, "object", e.InvolvedObject.FieldPath)
			}
		}
	})
	wg.Go(func() {
		var last corev1.PodStatus
		for st, err := range h.Status(following) {
			if err == nil {
				logChanges(log, last, st)
				last = st
			}
		}
	})
	err := h.Gone(ctx)
	enough()
	wg.Wait()
	switch {
	case err == nil:
		log.Info("nothing is left of the pod")
	case ctx.Err() == nil:
		log.Error(err, "drive pod")
	default:
		log.Info("no longer driving the pod; its containers go on")
	}
}

func logChanges(log logr.Logger, old, now corev1.PodStatus) {
	was := slices.Concat(old.InitContainerStatuses, old.ContainerStatuses)
	for _, c := range slices.Concat(now.InitContainerStatuses, now.ContainerStatuses) {
		before := pod.Status(was, c.Name)
		for _, t := range []*corev1.ContainerStateTerminated{c.LastTerminationState.Terminated, c.State.Terminated} {
			if t != nil && (before == nil || !hasEnd(before, t)) {
				log.Info("container ended", "container", c.Name, "exitCode", t.ExitCode, "reason", t.Reason, "finished", t.FinishedAt.UTC().Format(time.RFC3339))
			}
		}
	}
	if now.Phase != old.Phase {
		log.Info("phase of the pod", "phase", now.Phase)
	}
}

// hasEnd says whether a status tells of this end of its container already.
func hasEnd(c *corev1.ContainerStatus, t *corev1.ContainerStateTerminated) bool {
	for _, s := range []corev1.ContainerState{c.State, c.LastTerminationState} {
		if s.Terminated != nil && s.Terminated.ContainerID == t.ContainerID {
			return true
		}
	}
	return false
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
	touch(lock)
	n.mu.Lock()
	n.pods[uid] = d
	n.mu.Unlock()
	err = n.watch.Add(n.podDir(uid))
	if err == nil {
		_, err = runner.Adopt(uid)
	}
	if err != nil {
		n.mu.Lock()
		delete(n.pods, uid)
		n.mu.Unlock()
		d.release()
		return nil, err
	}
	n.follow(runner, d)
	return &Handle{n, d}, nil
}

// isGone tells that a pod vanished while it was looked at.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
