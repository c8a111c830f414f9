package local

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/lifecycle"
)

// Stop ends a pod gracefully and returns when nothing is left of it. A nil grace
// is the pod's own; asking again can only shorten it. When a process drives the
// pod, it is told and waited for; else this one drives it to its end.
func (n *Node) Stop(ctx context.Context, name string, grace *time.Duration) error {
	rec, err := n.find(name)
	if err != nil {
		return err
	}
	if h := n.handle(ctx, rec.Pod.UID); h != nil {
		return h.StopWithin(ctx, grace)
	}
	d := lifecycle.Shorter(rec.Deletion, lifecycle.NewDeletion(rec.Pod, time.Now(), grace))
	if err := lifecycle.WriteRecord(n.podDir(rec.Pod.UID), lifecycle.Record{Pod: rec.Pod, Deletion: &d}); err != nil {
		return fmt.Errorf("stop pod %s: %w", name, err)
	}
	return n.seeOff(ctx, rec.Pod)
}

// Remove removes a pod that has ended. One that still runs is an error, unless
// force: then it is stopped with no grace first.
func (n *Node) Remove(ctx context.Context, name string, force bool) error {
	rec, err := n.find(name)
	if err != nil {
		return err
	}
	if rec.holds() && !force {
		return fmt.Errorf("pod %s has not ended: stop it, or remove it by force", name)
	}
	grace := time.Duration(0)
	return n.Stop(ctx, name, &grace)
}

// seeOff waits for the process that drives the pod, or becomes it.
func (n *Node) seeOff(ctx context.Context, p *corev1.Pod) error {
	w, err := sys.WatchDirs(n.podsDir())
	if err != nil {
		return err
	}
	defer w.Close()
	for ctx.Err() == nil {
		h, err := n.adopt(ctx, p.UID)
		switch {
		case err == nil:
			return h.Gone(ctx)
		case errors.Is(err, errLocked):
			// Its driver removes the directory at the end; if it dies, the lock is
			// free, which no event tells.
			wait, cancel := context.WithTimeout(ctx, time.Second)
			w.Wait(wait)
			cancel()
		case isGone(err):
			return nil
		default:
			return err
		}
	}
	return ctx.Err()
}

// handle is the pod's, if this process drives it. One that begins to is waited
// for: its runner would not hear of a request yet.
func (n *Node) handle(ctx context.Context, uid types.UID) *Handle {
	d := n.driven(uid)
	if d == nil {
		return nil
	}
	select {
	case <-d.begun:
	case <-ctx.Done():
		return nil
	}
	if !d.ran {
		return nil
	}
	return &Handle{n, d}
}
