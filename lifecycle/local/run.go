package local

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/lifecycle"
	"github.com/lifepod/lifepod/lifecycle/plan"
)

var (
	createOptions = metav1.CreateOptions{}
	updateOptions = metav1.UpdateOptions{}
)

// Run admits a pod, schedules it to this node and begins to drive it; its
// containers start while the handle is used. Errors are API errors (422 with all
// invalid fields, 409 when a pod of that name is here), or say why this node
// cannot run it; nothing is left after one.
func (n *Node) Run(ctx context.Context, pod *corev1.Pod) (*Handle, error) {
	runner, err := n.drive()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	d := newDriven()
	d.toReady = d.timeline.begin(Span{Name: PhaseReady, Start: began})
	result, err := n.path().Create(ctx, pod)
	if err != nil {
		return nil, err
	}
	p := result.Object.(*corev1.Pod)
	d.timeline.phase(PhaseAPI, began)
	began = time.Now()
	if d.pod, err = n.schedule(ctx, p); err != nil {
		return nil, errors.Join(err, n.unstore(ctx, p))
	}
	d.timeline.phase(PhaseScheduling, began)
	began = time.Now()
	if err := n.take(ctx, d); err != nil {
		return nil, errors.Join(err, n.drop(ctx, d.pod))
	}
	d.timeline.phase(PhaseNodeAdmission, began)
	n.onEvent(d.pod, plan.Event{
		Type: corev1.EventTypeNormal, Reason: "Scheduled",
		Message: fmt.Sprintf("Successfully assigned %s/%s to %s", d.pod.Namespace, d.pod.Name, n.name),
	})
	if err := n.watch.Add(n.podDir(d.pod.UID)); err != nil {
		return nil, errors.Join(err, n.drop(ctx, d.pod))
	}
	if err := runner.Start(d.pod); err != nil {
		return nil, errors.Join(err, n.drop(ctx, d.pod))
	}
	n.follow(runner, d)
	return &Handle{n, d}, nil
}

// follow waits for the end of a pod that is driven now, whoever else does.
func (n *Node) follow(runner *lifecycle.Runner, d *driven) {
	d.ran = true
	d.begin()
	n.wg.Go(func() {
		defer close(d.gone)
		ctx := context.Background() // Close ends the runner, and so the wait
		d.err = runner.Wait(ctx, d.pod.UID)
		if !exists(filepath.Join(n.podDir(d.pod.UID), "pod.json")) {
			d.err = n.drop(ctx, d.pod) // though the runner was closed just then
		} else if d.err == nil {
			d.err = errors.New("it is no longer driven, the log says why")
		}
	})
}

// take makes the pod ours on disk: its directory, its name, its lock, and the
// objects that it needs.
func (n *Node) take(ctx context.Context, d *driven) error {
	lock, err := n.lockNew(d.pod.UID)
	if err != nil {
		return err
	}
	if err := n.claimName(d.pod); err != nil {
		return errors.Join(err, lock.Close())
	}
	if err := n.keepObjects(ctx, d.pod, false); err != nil {
		return errors.Join(err, lock.Close())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	d.lock = lock
	n.pods[d.pod.UID] = d
	return nil
}

// drop undoes Run: the pod is no longer ours and nothing of it is kept.
func (n *Node) drop(ctx context.Context, p *corev1.Pod) error {
	err := n.unstore(ctx, p)
	n.mu.Lock()
	d := n.pods[p.UID]
	delete(n.pods, p.UID)
	n.mu.Unlock()
	if d == nil {
		return errors.Join(err, n.forget(p))
	}
	d.keeping.Lock()
	defer d.keeping.Unlock()
	err = errors.Join(err, n.forget(p))
	d.release()
	return err
}

// forget removes what local keeps of a pod besides the runner's own.
func (n *Node) forget(p *corev1.Pod) error {
	return errors.Join(n.forgetSecrets(p.UID), n.releaseName(p), os.RemoveAll(n.podDir(p.UID)))
}

// Handle is a pod that this process drives.
type Handle struct {
	n *Node
	d *driven
}

// Pod is the pod as admitted and scheduled. It must not be changed.
func (h *Handle) Pod() *corev1.Pod { return h.d.pod }

// Status yields the pod's status and then each new one, until nothing is left
// of the pod or ctx ends, which is yielded as an error.
func (h *Handle) Status(ctx context.Context) iter.Seq2[corev1.PodStatus, error] {
	return h.d.statuses.all(ctx, true)
}

// Events yields the pod's events from its beginning, as Status its statuses.
func (h *Handle) Events(ctx context.Context) iter.Seq2[corev1.Event, error] {
	return h.d.events.all(ctx, false)
}

// Timeline is what the pod's start has consisted of so far, in the order in
// which it began; [Phases] makes the phases of a start of it.
func (h *Handle) Timeline() []Span { return h.d.timeline.all() }

// Stop ends the pod gracefully, with its own grace period, and returns when
// nothing is left. When ctx ends first the pod goes on ending.
func (h *Handle) Stop(ctx context.Context) error { return h.StopWithin(ctx, nil) }

// StopWithin is Stop with another grace period; nil means the pod's own.
// Stopping again can only shorten it.
func (h *Handle) StopWithin(ctx context.Context, grace *time.Duration) error {
	runner, err := h.n.drive()
	if err != nil {
		return err
	}
	if err := runner.Delete(h.d.pod.UID, grace); err != nil {
		return err
	}
	return h.Gone(ctx)
}

// Gone returns when nothing is left of the pod.
func (h *Handle) Gone(ctx context.Context) error {
	var err error
	select {
	case <-h.d.gone:
		err = h.d.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("pod %s/%s: %w", h.d.pod.Namespace, h.d.pod.Name, err)
	}
	return nil
}
