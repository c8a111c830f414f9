package plan

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// computeInit decides about init containers and sidecars, and reports whether
// all of them are done or up, so that regular containers may start.
//
// It goes backwards: ended init containers may have been removed, so the last
// one that has an instance tells how far the pod has come.
func (s *state) computeInit(a *actions) bool {
	inits := s.pod.Spec.InitContainers
	if len(inits) == 0 {
		return true
	}
	w := initWalk{s: s, a: a, initialized: s.regularActive()}
	w.past = w.initialized
	for i := range slices.Backward(inits) {
		if !w.visit(i) {
			return false
		}
	}
	if !w.past {
		w.start(0)
	}
	slices.Reverse(w.starts)
	a.starts = append(a.starts, w.starts...)
	return w.initialized
}

// regularActive says that a regular container exists in this sandbox, which it
// could not before the pod was initialised.
func (s *state) regularActive() bool {
	for i := range s.pod.Spec.Containers {
		if s.active(s.pod.Spec.Containers[i].Name) != nil {
			return true
		}
	}
	return false
}

type initWalk struct {
	s *state
	a *actions
	// initialized says that regular containers may start, past that a later init
	// container has an instance.
	initialized, past bool
	starts            []start
}

func (w *initWalk) start(i int) {
	name := w.s.pod.Spec.InitContainers[i].Name
	if !slices.ContainsFunc(w.starts, func(x start) bool { return x.name == name }) {
		w.starts = append(w.starts, start{name, w.s.kind(name)})
	}
}

// visit looks at init container i; false means that the pod has failed.
func (w *initWalk) visit(i int) bool {
	c := &w.s.pod.Spec.InitContainers[i]
	inst := w.s.active(c.Name)
	if inst == nil {
		if w.past && podutil.IsSidecar(c) {
			w.start(i)
		}
		return true
	}
	if w.past && !podutil.IsSidecar(c) {
		return true
	}
	ok := true
	switch {
	case inst.State == Created:
		// It was created and its start failed.
		w.start(i)
	case podutil.IsSidecar(c):
		w.sidecar(i, c, inst)
	case inst.State == Exited && !initFailed(inst):
		w.done(i)
	case inst.State == Exited, inst.State == Unknown:
		ok = w.again(i, c, inst)
	}
	w.past = true
	return ok
}

// done lets what comes after init container i begin.
func (w *initWalk) done(i int) {
	switch {
	case i == len(w.s.pod.Spec.InitContainers)-1:
		w.initialized = true
	case !w.past:
		w.start(i + 1)
	}
}

// again starts a failed init container once more, or gives up the pod.
func (w *initWalk) again(i int, c *corev1.Container, inst *Container) bool {
	retry := restartable(&w.s.pod.Spec, c)
	if inst.State == Exited {
		retry = w.s.shouldRun(c)
	}
	if !retry {
		*w.a = actions{killPod: true}
		return false
	}
	if inst.State == Unknown {
		w.a.kills = append(w.a.kills, unknown("Init container", *inst))
	}
	w.start(i)
	return true
}

func initFailed(c *Container) bool {
	return c.Reason == "OOMKilled" || c.State == Exited && c.ExitCode != 0 || c.State == Unknown
}

// sidecar keeps a sidecar running. It counts as done for the next ones as soon
// as it is up, and that stays so while it is restarted.
func (w *initWalk) sidecar(i int, c *corev1.Container, inst *Container) {
	s := w.s
	switch {
	case inst.State == Exited:
		w.start(i)
		return
	case inst.State == Unknown:
		w.a.kills = append(w.a.kills, unknown("Init container", *inst))
		w.start(i)
		return
	case s.verdict(*inst, Startup) == probeFailed:
		w.end(i, *inst, KillStartup, "Init container %s failed startup probe")
		return
	case c.StartupProbe != nil && !s.startedUp(*inst):
		return
	}
	w.done(i)
	switch {
	case changed(c, inst):
		w.end(i, *inst, KillChanged, "Init container %s definition changed")
	case s.verdict(*inst, Liveness) == probeFailed:
		w.end(i, *inst, KillLiveness, "Init container %s failed liveness probe")
	}
}

func (w *initWalk) end(i int, inst Container, why KillReason, format string) {
	w.a.kills = append(w.a.kills, kill{inst: inst, message: fmt.Sprintf(format, inst.Name), why: why, restart: true})
	w.start(i)
}
