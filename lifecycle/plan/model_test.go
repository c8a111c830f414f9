package plan_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/lifepod/lifepod/lifecycle/plan"
)

// TestModel runs random pods in a simulated world, with everything failing now
// and then: the agent dies, sandboxes die, pods are deleted at any moment and
// deleted again with less grace. LIFEPOD_PLAN_PODS says how many pods (10000 for
// the whole run), LIFEPOD_PLAN_SEED runs one seed alone.
func TestModel(t *testing.T) {
	first, pods := uint64(1), uint64(1000)
	if testing.Short() {
		pods = 200
	}
	if n, err := strconv.ParseUint(os.Getenv("LIFEPOD_PLAN_PODS"), 10, 64); err == nil {
		pods = n
	}
	if n, err := strconv.ParseUint(os.Getenv("LIFEPOD_PLAN_SEED"), 10, 64); err == nil {
		first, pods = n, 1
	}
	ended := map[string]int{}
	for seed := first; seed < first+pods; seed++ {
		w := simulate(seed, t.Logf, os.Getenv("LIFEPOD_PLAN_SEED") != "")
		for i, fault := range w.check.faults {
			if i < 3 {
				t.Errorf("seed %d (LIFEPOD_PLAN_SEED=%[1]d): %s", seed, fault)
			}
		}
		if t.Failed() {
			t.Fatalf("pod: %s", encode(w.pod.Spec))
		}
		ended[string(w.lastPlan.Status.Phase)]++
	}
	if pods >= 200 && (ended["Succeeded"] == 0 || ended["Failed"] == 0) {
		t.Errorf("the pods ended only so: %v", ended)
	}
}

// simulate drives one random pod from its creation until nothing is left.
func simulate(seed uint64, logf func(string, ...any), verbose bool) *world {
	r := rand.New(rand.NewPCG(seed, 3))
	w := newWorld(seed, randomPod(r))
	w.images["a"] = r.IntN(2) == 0
	w.images["b"] = r.IntN(2) == 0
	w.calm = r.IntN(3) == 0
	life := []time.Duration{time.Second, 10 * time.Second, time.Minute, 20 * time.Minute}[r.IntN(4)]
	deleteAt := w.now.Add(w.upTo(life))
	shortenAt := deleteAt.Add(w.upTo(20 * time.Second))
	crashAt, breakAt := time.Time{}, time.Time{}
	if r.IntN(3) == 0 {
		crashAt = w.now.Add(w.upTo(life + 10*time.Second))
	}
	if r.IntN(4) == 0 {
		breakAt = w.now.Add(w.upTo(life))
	}
	for steps := 0; ; steps++ {
		p := w.plan()
		if verbose {
			logf("%v %s %+v cancel %v wake %v", w.now.Sub(epoch), p.Status.Phase, p.Actions, p.Cancel, p.WakeAt.Sub(epoch))
			for _, e := range p.Events {
				logf("    %s %s %s", e.Reason, e.FieldPath, e.Message)
			}
		}
		if p.Done {
			w.check.nothingLeft()
			return w
		}
		next := w.next()
		for _, t := range []time.Time{p.WakeAt, deleteAt, shortenAt, crashAt, breakAt} {
			if !t.IsZero() && (next.IsZero() || t.Before(next)) {
				next = t
			}
		}
		if next.IsZero() || steps > 5000 {
			w.check.faultf("nothing happens any more, and the pod is not gone: %s %s", encode(w.mem), encode(w.input().Observed))
			return w
		}
		if next.After(w.now) {
			w.now = next
		}
		switch {
		case due(&deleteAt, w.now):
			w.deletion = &plan.Deletion{At: w.now, Grace: time.Duration(*w.pod.Spec.TerminationGracePeriodSeconds) * time.Second}
		case due(&shortenAt, w.now):
			w.shorten()
		case due(&crashAt, w.now):
			w.crash()
		case due(&breakAt, w.now):
			w.breakSandbox()
		}
		w.happen()
	}
}

// due says, once, that t has come.
func due(t *time.Time, now time.Time) bool {
	if t.IsZero() || t.After(now) {
		return false
	}
	*t = time.Time{}
	return true
}

// shorten deletes again, with what a second request leaves of the grace.
func (w *world) shorten() {
	w.calm = true
	if w.deletion == nil {
		return
	}
	d := *w.deletion
	if d.Grace = min(d.Grace, w.now.Sub(d.At)+w.upTo(3*time.Second)); w.rng.IntN(2) == 0 {
		w.deletion = &d
	}
}

func (c *checker) nothingLeft() {
	w := c.w
	if len(w.boxes)+len(w.containers)+len(w.jobs) > 0 || w.volumes != plan.Absent || w.cgroup != plan.Absent {
		c.faultf("done, but left: %s", encode(w.input().Observed))
	}
	if !ended(w.lastPlan.Status.Phase) {
		c.faultf("done in phase %s", w.lastPlan.Status.Phase)
	}
}
