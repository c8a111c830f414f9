package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/plan"
)

// world is a node in values: a runtime, images, volumes, probes, and one pod whose
// plan it carries out. It has a clock of its own and no goroutine; all that
// happens is drawn from its seed.
type world struct {
	rng      *rand.Rand
	now      time.Time
	pod      *corev1.Pod
	deletion *plan.Deletion
	mem      plan.Memory

	boxes      []plan.Sandbox
	containers []*instance
	volumes    plan.Presence
	cgroup     plan.Presence
	images     map[string]bool
	jobs       []*job
	finished   []plan.Result
	probes     []plan.ProbeSpec
	verdicts   map[string]plan.ProbeVerdict
	flips      []flip
	serial     int
	calm       bool // nothing fails any more
	instant    bool // nothing takes time but what a script says
	lastPlan   plan.Plan

	check *checker
	// script, if set, decides about the next run of a container instead of chance.
	script func(name string, attempt uint32) (life time.Duration, exit int32)
	starts []time.Time
	story  *story
}

// instance is a container of the runtime with what it will do.
type instance struct {
	plan.Container
	ends      time.Time // by itself; zero: never
	exit      int32
	reason    string
	termAfter time.Duration // after the stop signal; negative: ignores it
	termed    time.Time
	killed    bool // by a stop
}

// job is an action in flight.
type job struct {
	action    plan.Action
	started   time.Time
	ends      time.Time // zero: never by itself
	cancelled bool
	inst      *instance
}

// flip is a probe's verdict that will change.
type flip struct {
	at time.Time
	v  plan.ProbeVerdict
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 600e6, time.UTC)

func newWorld(seed uint64, pod *corev1.Pod) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 7)), now: epoch, pod: pod, images: map[string]bool{}, verdicts: map[string]plan.ProbeVerdict{}}
	w.check = newChecker(w)
	return w
}

func (w *world) chance(percent int) bool { return !w.calm && w.rng.IntN(100) < percent }

func (w *world) upTo(d time.Duration) time.Duration {
	if d <= 0 || w.instant {
		return 0
	}
	return time.Duration(w.rng.Int64N(int64(d)))
}

func (w *world) input() plan.Input {
	in := plan.Input{Now: w.now, Pod: w.pod, Deletion: w.deletion, Memory: w.mem, Finished: w.finished,
		Node: plan.Node{HostIPs: []string{"192.0.2.2"}}}
	in.Observed = plan.Observed{Sandboxes: slices.Clone(w.boxes), Cgroup: w.cgroup, Volumes: w.volumes}
	for _, c := range w.containers {
		in.Observed.Containers = append(in.Observed.Containers, c.Container)
	}
	for _, j := range w.jobs {
		in.InFlight = append(in.InFlight, plan.InFlight{Action: j.action, Started: j.started})
	}
	for _, p := range w.probes {
		if v, ok := w.verdicts[p.ContainerID+string(p.Kind)]; ok {
			in.Probes = append(in.Probes, v)
		}
	}
	return in
}

// plan plans once and sets the plan to work.
func (w *world) plan() plan.Plan {
	in := w.input()
	p := plan.Next(in)
	w.check.plan(in, p)
	w.mem, w.finished, w.lastPlan = p.Memory, nil, p
	if w.story != nil {
		w.story.planned(p)
	}
	for _, key := range p.Cancel {
		for _, j := range w.jobs {
			if j.action.Key() == key && !j.cancelled {
				j.cancelled, j.ends = true, w.now.Add(w.upTo(50*time.Millisecond))
			}
		}
	}
	for _, a := range p.Actions {
		w.begin(a)
	}
	w.setProbes(p.Probes)
	return p
}

// next is the time of the next thing to happen by itself; zero: nothing will.
func (w *world) next() time.Time {
	var first time.Time
	at := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	for _, j := range w.jobs {
		at(j.ends)
	}
	for _, c := range w.containers {
		if c.State == plan.Running {
			at(c.ends)
		}
	}
	for _, f := range w.flips {
		at(f.at)
	}
	return first
}

// happen lets everything happen that is due.
func (w *world) happen() {
	for _, c := range w.containers {
		if c.State == plan.Running && !c.ends.IsZero() && !c.ends.After(w.now) {
			w.exit(c, c.exit, c.reason, c.ends)
		}
	}
	for _, f := range w.flips {
		if !f.at.After(w.now) {
			w.verdicts[f.v.ContainerID+string(f.v.Kind)] = f.v
		}
	}
	w.flips = slices.DeleteFunc(w.flips, func(f flip) bool { return !f.at.After(w.now) })
	for _, j := range slices.Clone(w.jobs) {
		if j.ends.IsZero() || j.ends.After(w.now) {
			continue
		}
		w.jobs = slices.DeleteFunc(w.jobs, func(x *job) bool { return x == j })
		r := w.end(j)
		r.Action, r.Started, r.Ended = j.action, j.started, w.now
		w.finished = append(w.finished, r)
	}
}

func (w *world) exit(c *instance, code int32, reason string, at time.Time) {
	c.State, c.ExitCode, c.Reason, c.FinishedAt = plan.Exited, code, reason, at
	if reason == "" {
		c.Reason = map[bool]string{true: "Completed", false: "Error"}[code == 0]
	}
	w.check.exited(c)
}

// crash kills the agent: what was in flight is lost, half done or done.
func (w *world) crash() {
	for _, j := range w.jobs {
		if !j.cancelled && w.rng.IntN(2) == 0 {
			j.ends = w.now
			w.end(j)
		}
	}
	w.jobs, w.finished, w.probes, w.flips = nil, nil, nil, nil
	w.verdicts = map[string]plan.ProbeVerdict{}
	w.mem = reload(w.mem)
	// A stop that was lost is asked for again, with the least there is.
	w.check.crashes++
}

// setProbes starts and stops probes, and draws what they will find.
func (w *world) setProbes(specs []plan.ProbeSpec) {
	old := w.probes
	w.probes = specs
	for _, p := range specs {
		same := func(o plan.ProbeSpec) bool { return o.ContainerID == p.ContainerID && o.Kind == p.Kind }
		if slices.ContainsFunc(old, same) {
			continue
		}
		w.drawVerdicts(p)
	}
}

func (w *world) drawVerdicts(p plan.ProbeSpec) {
	if w.story != nil {
		if w.story.live > 0 {
			w.flips = append(w.flips, flip{p.Since.Add(w.story.live), plan.ProbeVerdict{ContainerID: p.ContainerID, Kind: p.Kind}})
		}
		return
	}
	if w.rng.IntN(12) == 0 {
		return // this one never reaches a verdict
	}
	v := plan.ProbeVerdict{ContainerID: p.ContainerID, Kind: p.Kind, OK: w.rng.IntN(4) != 0 || p.Kind == plan.Liveness}
	at := w.now.Add(w.upTo(3 * time.Second))
	w.flips = append(w.flips, flip{at, v})
	if p.Kind == plan.Startup {
		return
	}
	for range w.rng.IntN(3) {
		v.OK, at = !v.OK, at.Add(time.Second+w.upTo(40*time.Second))
		w.flips = append(w.flips, flip{at, v})
		if p.Kind == plan.Liveness && !v.OK {
			return
		}
	}
}

func (w *world) id(what string) string { w.serial++; return fmt.Sprintf("%s-%d", what, w.serial) }
