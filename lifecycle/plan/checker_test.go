package plan_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/plan"
	podutil "github.com/lifepod/lifepod/pod"
)

// checker holds every plan and everything that happens against what must always
// be true.
type checker struct {
	w      *world
	faults []string

	last     *corev1.PodStatus
	now      *corev1.PodStatus // of the plan being checked
	began    map[string]bool   // init containers that succeeded, sidecars that started, in this sandbox
	box      string
	ends     map[string]int32 // exit codes by status id
	said     map[string]bool  // instances whose readiness probe succeeded, by status id
	backoff  map[string]*ladder
	settling int
	limit    time.Time // when everything must be dead
	late     bool      // limit does not hold
	crashes  int       // of the agent: each may cost a container 2 s more
}

// ladder is what the crash backoff of one container should be.
type ladder struct {
	delay    time.Duration
	approved time.Time
	wait     time.Duration
	ended    time.Time
	natural  bool
}

func newChecker(w *world) *checker {
	return &checker{w: w, began: map[string]bool{}, said: map[string]bool{}, ends: map[string]int32{}, backoff: map[string]*ladder{}}
}

func (c *checker) faultf(format string, args ...any) {
	c.faults = append(c.faults, c.w.now.Sub(epoch).String()+": "+fmt.Sprintf(format, args...))
}

func reload(m plan.Memory) plan.Memory {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	var out plan.Memory
	if err := json.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	return out
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// plan checks one plan.
func (c *checker) plan(in plan.Input, p plan.Plan) {
	c.now = &p.Status
	c.actions(in, p)
	c.status(&p.Status)
	c.probes(in, p)
	c.settles(in, p)
	c.last = p.Status.DeepCopy()
	if d := in.Deletion; d != nil {
		if limit := d.At.Add(d.Grace + 2*time.Second); c.limit.IsZero() || limit.Before(c.limit) {
			c.limit = limit
		}
	}
}

func (c *checker) actions(in plan.Input, p plan.Plan) {
	taken := map[plan.Key]bool{}
	for _, f := range in.InFlight {
		taken[f.Action.Key()] = true
	}
	for _, k := range p.Cancel {
		if !taken[k] {
			c.faultf("cancels %s, which is not in flight", k)
		}
	}
	for _, a := range p.Actions {
		if taken[a.Key()] {
			c.faultf("%T has the key %s that is taken", a, a.Key())
		}
		taken[a.Key()] = true
		switch a := a.(type) {
		case plan.CheckImage:
			c.backedOff(a.Container)
		case plan.PullImage:
			c.backedOff(a.Container)
		case plan.StartContainer:
			c.start(in, a)
		case plan.RemoveContainer:
			if inst := c.w.find(a.ContainerID); inst != nil && inst.State == plan.Running {
				c.faultf("removes %s, which runs", a.ContainerID)
			}
		case plan.RemoveSandbox:
			if slices.ContainsFunc(c.w.containers, func(i *instance) bool { return i.SandboxID == a.ID }) {
				c.faultf("removes %s with containers in it", a.ID)
			}
		case plan.CreateSandbox:
			c.newSandbox(in)
		case plan.StopSandbox, plan.TearDownVolumes, plan.RemoveCgroup:
			if n := c.running(); n > 0 {
				c.faultf("%T while %d containers run", a, n)
			}
		case plan.StopContainer:
			if a.Timeout < 2*time.Second || a.Timeout%time.Second != 0 {
				c.faultf("stop timeout %v", a.Timeout)
			}
		}
		if in.Deletion != nil {
			c.notAfterDeletion(a)
		}
	}
}

// newSandbox checks that a sandbox is made where it can be, and into emptiness.
func (c *checker) newSandbox(in plan.Input) {
	if in.Observed.Volumes != plan.Present || in.Observed.Cgroup != plan.Present {
		c.faultf("a sandbox without volumes or cgroup")
	}
	for _, inst := range c.w.containers {
		if _, kind := podutil.Find(&c.w.pod.Spec, inst.Name); kind == podutil.Init || inst.State == plan.Running {
			c.faultf("a sandbox while %s is there", inst.ID)
		}
	}
}

// tidy checks that of a container nothing is kept but its newest end.
func (c *checker) tidy(in plan.Input, p plan.Plan) {
	if !c.w.calm || len(in.InFlight)+len(p.Actions)+len(p.Memory.Retry) > 0 || p.Memory.Stage == plan.Terminating {
		return
	}
	dead := map[string]int{}
	for _, inst := range c.w.containers {
		if dead[inst.Name]++; inst.State == plan.Running {
			dead[inst.Name]--
		}
		if dead[inst.Name] > 1 {
			c.faultf("%d ended instances of %s are kept", dead[inst.Name], inst.Name)
		}
	}
	for i, b := range c.w.boxes {
		if !b.Ready && i < len(c.w.boxes)-1 && !slices.ContainsFunc(c.w.containers, func(i *instance) bool { return i.SandboxID == b.ID }) {
			c.faultf("sandbox %s is kept", b.ID)
		}
	}
}

func (c *checker) notAfterDeletion(a plan.Action) {
	switch a.(type) {
	case plan.StartContainer, plan.CreateSandbox, plan.PullImage, plan.CheckImage, plan.RunPostStart, plan.SetUpVolumes, plan.EnsureCgroup:
		c.faultf("%T after the deletion", a)
	}
}

func (c *checker) running() (n int) {
	for _, inst := range c.w.containers {
		if inst.State == plan.Running {
			n++
		}
	}
	return n
}

// start checks that a container may start now.
func (c *checker) start(in plan.Input, a plan.StartContainer) {
	newest := slices.MaxFunc(in.Observed.Sandboxes, func(x, y plan.Sandbox) int { return int(x.Attempt) - int(y.Attempt) })
	if newest.ID != a.SandboxID || !newest.Ready {
		c.faultf("%s starts in sandbox %s", a.Name, a.SandboxID)
	}
	if c.box != newest.ID {
		c.box = newest.ID
		clear(c.began)
	}
	for _, inst := range c.w.containers {
		if inst.Name == a.Name && (inst.State == plan.Running || inst.State == plan.Unknown) {
			c.faultf("a second %s", a.Name)
		}
		if inst.Name == a.Name && inst.Attempt >= a.Attempt {
			c.faultf("attempt %d of %s is used again", a.Attempt, a.Name)
		}
	}
	if a.Kind == plan.Ephemeral {
		return
	}
	for i := range c.w.pod.Spec.InitContainers {
		init := &c.w.pod.Spec.InitContainers[i]
		if init.Name == a.Name {
			return
		}
		if !c.initDone(init) {
			c.faultf("%s starts before %s is done", a.Name, init.Name)
		}
	}
}

// initDone says that an init container succeeded in this sandbox, or that a
// sidecar has started at least once.
func (c *checker) initDone(init *corev1.Container) bool {
	if podutil.IsSidecar(init) {
		for _, s := range []*corev1.PodStatus{c.last, c.now} {
			if st := podutil.Status(s.InitContainerStatuses, init.Name); st.Started != nil && *st.Started {
				c.began[init.Name] = true
			}
		}
	}
	return c.began[init.Name]
}

func (c *checker) startedNow(inst *instance) {
	for _, other := range c.w.containers {
		if other != inst && other.Name == inst.Name && other.State == plan.Running {
			c.faultf("two instances of %s run", inst.Name)
		}
	}
}

func (c *checker) exited(inst *instance) {
	c.ends["fake://"+inst.ID] = inst.ExitCode
	if inst.ExitCode == 0 && inst.Reason != "OOMKilled" && inst.SandboxID == c.box {
		c.began[inst.Name] = true
	}
	if !c.late && !c.limit.IsZero() && inst.FinishedAt.After(c.limit.Add(300*time.Millisecond+time.Duration(c.crashes)*2*time.Second)) {
		c.faultf("%s ended %v after its grace", inst.Name, inst.FinishedAt.Sub(c.limit))
	}
	l := c.backoff[inst.Name]
	if l == nil {
		l = &ladder{}
		c.backoff[inst.Name] = l
	}
	// A stop makes the ladder unknown: the kubelet's rules for it are odd.
	_, stopping := c.w.mem.Kills[inst.ID]
	l.ended, l.natural = inst.FinishedAt, !stopping && !inst.killed && (l.natural || l.approved.IsZero() && l.delay == 0)
	switch {
	case l.approved.IsZero():
		l.wait = 0
	case inst.FinishedAt.Sub(l.approved) > 600*time.Second:
		l.delay, l.wait = 0, 0
	default:
		l.wait = l.delay
	}
}

// backedOff checks that a container that ended is not looked after too early.
func (c *checker) backedOff(name string) {
	l := c.backoff[name]
	if l == nil || l.ended.IsZero() {
		return
	}
	if !slices.ContainsFunc(c.w.containers, func(i *instance) bool { return i.Name == name && i.State == plan.Exited }) {
		l.ended = time.Time{} // removed, with all that is to be known of it
		return
	}
	if early := l.ended.Add(l.wait).Sub(c.w.now); l.natural && early > 0 {
		c.faultf("%s is started %v before its backoff of %v is over", name, early, l.wait)
	}
	l.approved, l.ended = c.w.now, time.Time{}
	l.delay = min(max(2*l.delay, 10*time.Second), 300*time.Second)
}

// settles checks that a second look at the same facts wants nothing more.
func (c *checker) settles(in plan.Input, p plan.Plan) {
	if !p.WakeAt.IsZero() && !p.WakeAt.After(in.Now) {
		if c.settling++; c.settling > 32 {
			c.faultf("does not settle")
		}
		return
	}
	c.settling = 0
	c.tidy(in, p)
	in.Memory, in.Finished = p.Memory, nil
	for _, a := range p.Actions {
		in.InFlight = append(slices.Clone(in.InFlight), plan.InFlight{Action: a, Started: in.Now})
	}
	slices.Reverse(in.Observed.Containers)
	slices.Reverse(in.Observed.Sandboxes)
	again := plan.Next(in)
	if len(again.Actions) > 0 || len(again.Events) > 0 {
		c.faultf("wants %+v and tells %+v when asked again", again.Actions, again.Events)
	}
	if !reflect.DeepEqual(again.Status, p.Status) {
		c.faultf("status changes when asked again: %s", difference(p.Status, again.Status))
	}
	if !reflect.DeepEqual(again.Memory, p.Memory) {
		c.faultf("memory changes when asked again: %s", difference(p.Memory, again.Memory))
	}
	if !again.WakeAt.IsZero() && (p.WakeAt.IsZero() || again.WakeAt.Before(p.WakeAt)) {
		c.faultf("wakes at %v, and at %v when asked again", p.WakeAt, again.WakeAt)
	}
}

// difference shows where two values part.
func difference(a, b any) string {
	x, y := encode(a), encode(b)
	i := 0
	for i < min(len(x), len(y)) && x[i] == y[i] {
		i++
	}
	part := func(s string) string { return s[max(0, i-80):min(len(s), i+160)] }
	return "\n" + part(x) + "\n" + part(y)
}
