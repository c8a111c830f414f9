package plan_test

import (
	"slices"
	"strings"
	"time"

	"github.com/lifepod/lifepod/lifecycle/plan"
	podutil "github.com/lifepod/lifepod/pod"
)

// begin puts an action in flight and draws how long it takes.
func (w *world) begin(a plan.Action) {
	j := &job{action: a, started: w.now, ends: w.now.Add(w.upTo(20 * time.Millisecond))}
	switch a := a.(type) {
	case plan.PullImage:
		j.ends = w.now.Add(w.upTo(4 * time.Second))
	case plan.StartContainer:
		if !w.instant && w.rng.IntN(2) == 0 {
			j.inst = w.create(a)
		}
	case plan.RunPostStart:
		j.ends = w.now.Add(w.upTo(3 * time.Second))
		if w.chance(5) {
			j.ends = time.Time{}
		}
	case plan.RunPreStop:
		j.ends = w.now.Add(min(w.upTo(8*time.Second), a.Timeout))
	case plan.StopContainer:
		w.signal(j, a)
	}
	if w.story != nil {
		w.story.begin(j)
	}
	w.jobs = append(w.jobs, j)
}

// create makes a container and draws what it will do.
func (w *world) create(a plan.StartContainer) *instance {
	c := &instance{Container: plan.Container{ID: w.id(a.Name), Runtime: "fake", Name: a.Name, SandboxID: a.SandboxID, Attempt: a.Attempt,
		State: plan.Created, CreatedAt: w.now, Image: "img", ImageRef: a.ImageRef}}
	if spec, _ := podutil.Find(&w.pod.Spec, a.Name); spec != nil {
		c.SpecHash = podutil.HashContainer(spec)
	}
	w.containers = append(w.containers, c)
	return c
}

func (w *world) run(c *instance) {
	c.State, c.StartedAt = plan.Running, w.now
	if w.story != nil {
		w.story.run(c)
		return
	}
	lives := []time.Duration{0, 500 * time.Millisecond, 5 * time.Second, 70 * time.Second, 700 * time.Second, -1, -1}
	exits := []int32{0, 0, 1, 42, 137}
	life := lives[w.rng.IntN(len(lives))]
	if _, kind := podutil.Find(&w.pod.Spec, c.Name); kind == podutil.Init {
		life = min(max(life, 0), 5*time.Second)
	}
	c.exit = exits[w.rng.IntN(len(exits))]
	if c.exit == 137 && w.rng.IntN(2) == 0 {
		c.reason = "OOMKilled"
	}
	if w.script != nil {
		life, c.exit = w.script(c.Name, c.Attempt)
		w.starts = append(w.starts, w.now)
	}
	if c.termAfter = w.upTo(6 * time.Second); w.rng.IntN(5) == 0 {
		c.termAfter = -1
	}
	if life >= 0 {
		c.ends = w.now.Add(life)
	}
}

// signal sends the stop signal, once, and works out when the call returns.
func (w *world) signal(j *job, a plan.StopContainer) {
	c := w.find(a.ContainerID)
	if c == nil || c.State != plan.Running {
		return
	}
	if c.termed.IsZero() {
		c.termed = w.now
	}
	j.ends = w.now.Add(a.Timeout)
	if c.termAfter >= 0 {
		if end := c.termed.Add(c.termAfter); end.Before(j.ends) {
			j.ends = end
		}
	}
	if !c.ends.IsZero() && c.ends.Before(j.ends) {
		j.ends = c.ends
	}
	if j.ends.Before(w.now) {
		j.ends = w.now
	}
}

func (w *world) find(id string) *instance {
	for _, c := range w.containers {
		if c.ID == id {
			return c
		}
	}
	return nil
}

func fail(reason, message string) *plan.Failure {
	return &plan.Failure{Reason: reason, Message: message}
}

// end finishes a job: its effect, and its result.
func (w *world) end(j *job) plan.Result {
	switch a := j.action.(type) {
	case plan.StartContainer:
		return w.endStart(j, a)
	case plan.StopContainer:
		return w.endStop(j, a)
	case plan.CheckImage, plan.PullImage:
		return w.endImage(j)
	case plan.CreateSandbox:
		return w.endSandbox(j, a)
	}
	if j.cancelled {
		return plan.Result{Cancelled: true}
	}
	if w.story != nil {
		if f := w.story.hookFails(j); f != nil {
			return plan.Result{Err: f}
		}
	}
	if w.chance(4) {
		w.half(j.action)
		return plan.Result{Err: fail("", "chance")}
	}
	w.effect(j.action)
	return plan.Result{}
}

// half leaves behind what a failed setup leaves behind.
func (w *world) half(a plan.Action) {
	switch a.(type) {
	case plan.SetUpVolumes, plan.TearDownVolumes:
		w.volumes = plan.Partial
	case plan.EnsureCgroup, plan.RemoveCgroup:
		w.cgroup = plan.Partial
	}
}

func (w *world) effect(a plan.Action) {
	switch a := a.(type) {
	case plan.EnsureCgroup:
		w.cgroup = plan.Present
	case plan.SetUpVolumes:
		w.volumes = plan.Present
	case plan.RemoveContainer:
		w.containers = slices.DeleteFunc(w.containers, func(c *instance) bool { return c.ID == a.ContainerID })
	case plan.StopSandbox:
		for i := range w.boxes {
			if w.boxes[i].ID == a.ID {
				w.boxes[i].Ready = false
			}
		}
	case plan.RemoveSandbox:
		w.boxes = slices.DeleteFunc(w.boxes, func(b plan.Sandbox) bool { return b.ID == a.ID })
	case plan.TearDownVolumes:
		w.volumes = plan.Absent
	case plan.RemoveCgroup:
		w.cgroup = plan.Absent
	}
}

func (w *world) endSandbox(j *job, a plan.CreateSandbox) plan.Result {
	if w.chance(8) || j.cancelled && w.rng.IntN(2) == 0 {
		return plan.Result{Cancelled: j.cancelled, Err: fail("", "no network")}
	}
	b := plan.Sandbox{ID: w.id("box"), Attempt: a.Attempt, Ready: true, CreatedAt: w.now, IPs: []string{"10.0.0.7"},
		HostNetwork: w.pod.Spec.HostNetwork, NetworkReported: true}
	w.boxes = append(w.boxes, b)
	return plan.Result{ID: b.ID, Cancelled: j.cancelled}
}

func (w *world) endImage(j *job) plan.Result {
	if j.cancelled {
		return plan.Result{Cancelled: true}
	}
	switch a := j.action.(type) {
	case plan.CheckImage:
		if w.chance(3) {
			return plan.Result{Err: fail("ImageInspectError", "inspect")}
		}
		if w.images[a.Image] || w.calm && w.story == nil {
			return plan.Result{Image: plan.ImageFacts{Ref: "ref", MustPull: w.chance(5)}}
		}
	case plan.PullImage:
		if w.story != nil {
			if text := nth(w.story.pulls, w.story.next("pull")); text != "" {
				return plan.Result{Err: fail("ErrImagePull", text)}
			}
		}
		if w.chance(25) {
			return plan.Result{Err: fail("ErrImagePull", "no route")}
		}
		w.images[a.Image] = true
		return plan.Result{Image: plan.ImageFacts{Ref: "ref", Size: 1}}
	}
	return plan.Result{}
}

func (w *world) endStart(j *job, a plan.StartContainer) plan.Result {
	c := j.inst
	reason := ""
	if w.story != nil {
		reason = nth(w.story.startErrors, w.story.next("start"))
	}
	switch {
	case strings.HasPrefix(reason, "Create"):
		return plan.Result{Err: fail(reason, "no")}
	case j.cancelled && (c == nil || w.rng.IntN(2) == 0):
		return plan.Result{Cancelled: true}
	case c == nil && w.chance(6):
		return plan.Result{Err: fail([]string{"CreateContainerError", "CreateContainerConfigError"}[w.rng.IntN(2)], "chance")}
	}
	if c == nil {
		c = w.create(a)
	}
	if w.chance(5) || reason != "" {
		c.StartedAt = w.now
		w.exit(c, 128, "StartError", w.now)
		return plan.Result{ID: c.ID, Cancelled: j.cancelled, Err: fail("RunContainerError", "not found")}
	}
	if b := slices.IndexFunc(w.boxes, func(b plan.Sandbox) bool { return b.ID == a.SandboxID && b.Ready }); b < 0 {
		return plan.Result{ID: c.ID, Cancelled: j.cancelled, Err: fail("RunContainerError", "sandbox is gone")}
	}
	w.run(c)
	w.check.startedNow(c)
	return plan.Result{ID: c.ID, Cancelled: j.cancelled}
}

func (w *world) endStop(j *job, a plan.StopContainer) plan.Result {
	c := w.find(a.ContainerID)
	switch {
	case j.cancelled:
		return plan.Result{Cancelled: true}
	case c == nil || c.State == plan.Exited:
		return plan.Result{}
	case w.chance(3):
		w.check.late = true // a runtime that cannot stop a container keeps no promise
		return plan.Result{Err: fail("", "stop failed")}
	}
	c.killed = true
	switch {
	case c.State != plan.Running:
		w.exit(c, 137, "", w.now)
	case c.termAfter >= 0 && !c.termed.Add(c.termAfter).After(w.now):
		w.exit(c, w.termCode(), "", w.now)
	default:
		w.exit(c, 137, "", w.now)
	}
	return plan.Result{}
}

// breakSandbox lets the newest sandbox die, with or without its containers.
func (w *world) breakSandbox() {
	if len(w.boxes) == 0 {
		return
	}
	b := &w.boxes[len(w.boxes)-1]
	b.Ready = false
	if w.rng.IntN(3) == 0 {
		return
	}
	for _, c := range w.containers {
		if c.SandboxID == b.ID && c.State == plan.Running {
			w.exit(c, 137, "", w.now)
		}
	}
}
