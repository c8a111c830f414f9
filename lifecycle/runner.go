package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/lifepod/lifepod/image/pacing"
	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/lifecycle/plan"
)

// Runner drives pods. Its methods are safe for concurrent use.
type Runner struct {
	Options
	log      logr.Logger
	node     Node
	config   plan.Config
	onStatus func(*corev1.Pod, corev1.PodStatus)
	probes   *probes
	gate     *pacing.Gate

	thermalOnce  sync.Once
	thermalPaths []string

	ctx  context.Context //nolint:containedctx // the life of the Runner itself, ended by Close
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	workers map[types.UID]*worker
	leaving bool // the QoS tiers are about to be removed
}

// ErrClosed is returned by a Runner after Close.
var ErrClosed = errors.New("runner is closed")

// New starts a runner without pods. It must be closed.
func New(o Options) (*Runner, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	gate, err := pacing.New(o.Pulls)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Runner{
		Options: o, gate: gate, log: o.Log, node: o.Node, config: o.Config, onStatus: o.OnStatus,
		ctx: ctx, stop: stop, workers: map[types.UID]*worker{},
	}
	r.probes = newProbes(r)
	r.wg.Go(func() { r.watch(ctx) })
	if o.PullRecords != nil {
		r.wg.Go(func() { r.tidyPullRecords(ctx) })
	}
	return r, nil
}

// Close stops driving: no action begins any more, those in flight are abandoned
// and finished or undone by the next runner. Containers go on.
func (r *Runner) Close() error {
	r.stop()
	r.wg.Wait()
	r.probes.close()
	if r.Cgroups == nil || r.TierLinger <= 0 {
		return nil
	}
	return r.pruneTiers(context.Background())
}

// Start begins to drive a new pod. Its directory is written first, so that from
// then on a Runner that adopts it goes on where this one stops. What lies in the
// directory, of the caller too, is on disk when Start returns; the pod's first
// steps do not wait for that. After an error nothing is left of the pod.
func (r *Runner) Start(pod *corev1.Pod) error {
	if err := r.start(pod); err != nil {
		return fmt.Errorf("start pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}

func (r *Runner) start(pod *corev1.Pod) error {
	dir := r.podDir(pod.UID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := writeRecord(dir, Record{Pod: pod}, false); err != nil {
		return err
	}
	if err := r.begin(Record{Pod: pod}, plan.Memory{}); err != nil {
		return err
	}
	if err := effectSync.Do(func() error { return sys.SyncFiles(dir) }); err != nil {
		return errors.Join(err, r.giveUp(pod.UID))
	}
	return nil
}

var effectSync = sys.NewEffect("lifecycle/sync-pod")

// giveUp ends a pod at once and returns when nothing is left of it.
func (r *Runner) giveUp(uid types.UID) error {
	return errors.Join(r.Delete(uid, new(time.Duration)), r.Wait(r.ctx, uid))
}

// Adopt goes on with a pod that another runner began, from its directory and
// from what the runtime shows.
func (r *Runner) Adopt(uid types.UID) (*corev1.Pod, error) {
	rec, err := ReadRecord(r.podDir(uid))
	if err != nil {
		return nil, fmt.Errorf("adopt pod %s: %w", uid, err)
	}
	m, err := ReadMemory(r.podDir(uid))
	if err != nil {
		return nil, fmt.Errorf("adopt pod %s: %w", uid, err)
	}
	return rec.Pod, r.begin(rec, m)
}

func (r *Runner) begin(rec Record, m plan.Memory) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return ErrClosed
	}
	if r.workers[rec.Pod.UID] != nil {
		return nil
	}
	w := &worker{
		r: r, dir: podDir(r.podDir(rec.Pod.UID)), deletion: rec.Deletion, memory: m,
		wake: make(chan struct{}, 1), done: make(chan struct{}), inflight: map[plan.Key]*running{},
		boxes: map[string]plan.Sandbox{}, hinted: true, has: presences{by: map[plan.Key]plan.Presence{}},
	}
	w.current.Store(rec.Pod)
	if m.Status != nil {
		// Another runner had it: what it had made may be there, whole or in part.
		w.status = *m.Status
		w.has.by[plan.EnsureCgroup{}.Key()], w.has.by[plan.SetUpVolumes{}.Key()] = plan.Partial, plan.Partial
	}
	r.workers[rec.Pod.UID] = w
	r.wg.Go(func() {
		w.run(r.ctx)
		if w.err != nil {
			r.log.Error(w.err, "pod is no longer driven", "pod", w.name())
		}
		r.mu.Lock()
		delete(r.workers, rec.Pod.UID)
		r.mu.Unlock()
	})
	return nil
}

// Delete asks for the pod's end with the given grace period; nil means the pod's
// own. Asking again can only shorten it. An unknown pod is not an error.
func (r *Runner) Delete(uid types.UID, grace *time.Duration) error {
	w := r.worker(uid)
	if w == nil {
		return nil
	}
	return r.End(uid, NewDeletion(w.pod(), time.Now(), grace))
}

// End is Delete with a request that was made earlier, perhaps by another
// process.
func (r *Runner) End(uid types.UID, d plan.Deletion) error {
	w := r.worker(uid)
	if w == nil {
		return nil
	}
	w.mu.Lock()
	old := w.deletion
	d = Shorter(old, d)
	w.deletion = &d
	w.mu.Unlock()
	if old != nil && old.At.Equal(d.At) && old.Grace == d.Grace {
		return nil
	}
	w.poke()
	if err := w.saveRecord(); err != nil {
		return fmt.Errorf("delete pod %s: %w", w.name(), err)
	}
	return nil
}

// NewDeletion is the request to delete pod now; a nil grace is the pod's own.
func NewDeletion(pod *corev1.Pod, now time.Time, grace *time.Duration) plan.Deletion {
	g := 30 * time.Second
	if s := pod.Spec.TerminationGracePeriodSeconds; s != nil {
		g = time.Duration(*s) * time.Second
	}
	if grace != nil {
		g = *grace
	}
	return plan.Deletion{At: now, Grace: max(g, 0)}
}

// Shorter joins a request with an earlier one (or nil): the earlier one's time,
// and the end that comes first.
func Shorter(old *plan.Deletion, d plan.Deletion) plan.Deletion {
	if old == nil {
		return d
	}
	return plan.Deletion{At: old.At, Grace: min(old.Grace, d.At.Add(d.Grace).Sub(old.At))}
}

// Evict ends the pod as Failed without deleting it.
func (r *Runner) Evict(uid types.UID, e plan.Eviction) {
	if w := r.worker(uid); w != nil {
		w.mu.Lock()
		w.eviction = &e
		w.mu.Unlock()
		w.poke()
	}
}

// Status returns a pod's last status, and whether the runner drives it.
func (r *Runner) Status(uid types.UID) (corev1.PodStatus, bool) {
	if w := r.worker(uid); w != nil {
		return w.lastStatus(), true
	}
	return corev1.PodStatus{}, false
}

// Wait returns when the pod is no longer driven: nil when nothing is left of it.
func (r *Runner) Wait(ctx context.Context, uid types.UID) error {
	w := r.worker(uid)
	if w == nil {
		return nil
	}
	select {
	case <-w.done:
		if w.err == nil && r.ctx.Err() != nil {
			return ErrClosed
		}
		return w.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Runner) worker(uid types.UID) *worker {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.workers[uid]
}

func (r *Runner) podDir(uid types.UID) string { return filepath.Join(r.Dir, string(uid)) }
