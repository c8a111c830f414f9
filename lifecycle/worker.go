package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/lifepod/lifepod/lifecycle/plan"
	"github.com/lifepod/lifepod/volume"
)

// settleLimit is how often a worker plans without learning anything new before
// it stops: a plan must settle.
const settleLimit = 32

// ErrUnsettled ends a pod's worker whose plan wants to run again at once, over
// and over, though nothing happened.
var ErrUnsettled = errors.New("plan does not settle")

// worker drives one pod. Its loop goroutine is the only one that plans.
type worker struct {
	r   *Runner
	dir podDir

	// current is the pod as admitted or last updated; never written to, replaced
	// under mu.
	current atomic.Pointer[corev1.Pod]

	recordMu sync.Mutex // of the file pod.json

	// mailbox: what others leave for the loop; wake tells it to look.
	mu       sync.Mutex
	wake     chan struct{}
	finished []plan.Result
	deletion *plan.Deletion
	eviction *plan.Eviction
	hinted   bool

	has     presences
	mounted map[string]volume.Mounted
	boxes   map[string]plan.Sandbox // that were seen, by id
	looked  bool                    // for log files
	byLog   map[string]uint32

	acting atomic.Int32 // actions under way that are looked after

	// of the loop alone
	inflight map[plan.Key]*running
	wg       sync.WaitGroup
	memory   plan.Memory
	saved    []byte
	observed plan.Observed
	idle     int
	heard    wishes
	sawError string

	// what others may ask for
	statusMu sync.Mutex
	status   corev1.PodStatus
	done     chan struct{}
	err      error
}

// running is an action in flight.
type running struct {
	action  plan.Action
	started time.Time
	cancel  context.CancelFunc
}

// run drives the pod until nothing is left of it or ctx ends; then it waits for
// the actions in flight, which ctx cancels.
func (w *worker) run(ctx context.Context) {
	defer close(w.done)
	defer w.wg.Wait()
	defer w.r.probes.drop(w)
	for ctx.Err() == nil {
		wait, done, err := w.step(ctx)
		if done || err != nil {
			w.err = err
			return
		}
		if err := w.sleep(ctx, wait); err != nil {
			w.err = err
			return
		}
	}
}

// sleep waits for the mailbox, the wake-up time (zero: none) or the end of ctx.
func (w *worker) sleep(ctx context.Context, at time.Time) error {
	var timer <-chan time.Time
	if w.idle >= settleLimit {
		return fmt.Errorf("pod %s: %w: %d plans in a row saw nothing new", w.name(), ErrUnsettled, w.idle)
	}
	if !at.IsZero() {
		t := time.NewTimer(time.Until(at))
		defer t.Stop()
		timer = t.C
	}
	began := time.Now()
	select {
	case <-w.wake:
	case <-timer:
		if at.After(began) { // a wait that was meant, not "at once"
			w.idle = 0
		}
	case <-ctx.Done():
	}
	return nil
}

// step observes, plans once and sets the plan to work.
func (w *worker) step(ctx context.Context) (wakeAt time.Time, done bool, err error) {
	in, observe := w.take()
	if w.news(in) {
		w.idle = 0
	}
	if observe {
		seen, err := w.observe(ctx)
		if err != nil {
			return w.cannotSee(in.Finished, err), false, nil
		}
		if !reflect.DeepEqual(seen, w.observed) {
			w.idle = 0
		}
		w.observed, w.sawError = seen, ""
		w.mu.Lock()
		for _, box := range seen.Sandboxes {
			w.boxes[box.ID] = box
		}
		w.mu.Unlock()
	}
	in.Observed = w.observed
	if !observe || len(in.Finished) > 0 { // a look that others asked for is not the plan's doing
		w.idle++
	}
	p := plan.Next(in)
	if err := w.remember(p.Memory); err != nil {
		return time.Time{}, false, err
	}
	old := w.swapStatus(p.Status)
	for _, key := range p.Cancel {
		if run := w.inflight[key]; run != nil {
			run.cancel()
		}
	}
	for _, e := range p.Events {
		w.r.record(w.pod(), e)
	}
	w.r.probes.set(w, p.Probes)
	for _, a := range p.Actions {
		w.start(ctx, a)
	}
	w.publish(old, p.Status) // no action waits for whoever listens
	if p.Done {
		return time.Time{}, true, w.forget()
	}
	return p.WakeAt, false, nil
}

// cannotSee puts back what step took, and looks again after a second.
func (w *worker) cannotSee(finished []plan.Result, err error) time.Time {
	if text := err.Error(); text != w.sawError {
		w.sawError = text
		w.r.log.Error(err, "observe pod", "pod", w.name())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finished = append(finished, w.finished...)
	w.hinted = true
	return time.Now().Add(time.Second)
}

// take empties the mailbox into a plan's input and says whether the runtime has
// to be asked again.
func (w *worker) take() (in plan.Input, observe bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	in = plan.Input{
		Now: time.Now(), Pod: w.pod(), Deletion: w.deletion, Eviction: w.eviction,
		Finished: w.finished, Memory: w.memory, Node: w.r.node.facts(), Config: w.r.config,
	}
	observe = w.hinted || slices.ContainsFunc(w.finished, func(r plan.Result) bool { return lookedAfter(r.Action) })
	for _, res := range w.finished {
		delete(w.inflight, res.Action.Key())
	}
	for _, run := range w.inflight {
		in.InFlight = append(in.InFlight, plan.InFlight{Action: run.action, Started: run.started})
	}
	in.Probes = w.r.probes.verdicts(w)
	w.finished, w.hinted = nil, false
	return in, observe
}

// lookedAfter says whether the runtime may tell something else of the pod after a.
func lookedAfter(a plan.Action) bool {
	switch a.(type) {
	case plan.CheckImage, plan.PullImage:
		return false
	}
	return true
}

// start runs an action in a goroutine of its own.
func (w *worker) start(ctx context.Context, a plan.Action) {
	ctx, cancel := context.WithCancel(ctx)
	run := &running{action: a, started: time.Now(), cancel: cancel}
	w.inflight[a.Key()] = run
	if lookedAfter(a) {
		w.acting.Add(1)
	}
	w.wg.Go(func() {
		defer cancel()
		res := w.perform(ctx, a)
		res.Action, res.Started, res.Ended = a, run.started, time.Now()
		res.Cancelled = res.Err != nil && ctx.Err() != nil
		w.mu.Lock()
		w.finished = append(w.finished, res)
		if lookedAfter(a) {
			w.acting.Add(-1)
		}
		w.mu.Unlock()
		w.poke()
	})
}

// expects tells that the loop has seen the sandbox of an event, or looks anyway
// after an action that is under way.
func (w *worker) expects(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acting.Load() > 0 || w.boxes[id].Ready
}

// poke makes the loop plan again.
func (w *worker) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// hint says that the runtime's account of this pod may have changed.
func (w *worker) hint() {
	w.mu.Lock()
	w.hinted = true
	w.mu.Unlock()
	w.poke()
}

// swapStatus makes s the last status, which actions read.
func (w *worker) swapStatus(s corev1.PodStatus) (old corev1.PodStatus) {
	w.statusMu.Lock()
	defer w.statusMu.Unlock()
	old, w.status = w.status, s
	return old
}

// publish makes the status known if it changed.
func (w *worker) publish(old, s corev1.PodStatus) {
	if w.r.onStatus != nil && !equality.Semantic.DeepEqual(old, s) {
		w.r.onStatus(w.pod(), s)
	}
}

func (w *worker) lastStatus() corev1.PodStatus {
	w.statusMu.Lock()
	defer w.statusMu.Unlock()
	return w.status
}

// pod is the pod as it shall be now.
func (w *worker) pod() *corev1.Pod { return w.current.Load() }

func (w *worker) name() string { return w.pod().Namespace + "/" + w.pod().Name }

// longName is the pod as the kubelet's messages name it.
func (w *worker) longName() string {
	p := w.pod()
	return fmt.Sprintf("%s_%s(%s)", p.Name, p.Namespace, p.UID)
}
