package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// sync brings a pod that shall run closer to what it should be.
func (s *state) sync() {
	a := s.compute()
	switch {
	case a.killPod:
		s.replace(a)
	case len(a.reset) > 0:
		s.reset(a.reset)
	case !s.prepare():
		s.proceed()
	default:
		for _, k := range a.kills {
			s.beginKill(k)
		}
		s.proceed()
		s.prune()
		s.removeOldSandboxes()
		s.drive(a.starts)
	}
}

// prepare makes the pod's cgroup and volumes, side by side, and reports whether
// both are there. A pod that already runs is not held up by them.
func (s *state) prepare() bool {
	if s.in.Observed.Cgroup != Present {
		s.do(EnsureCgroup{})
	}
	if s.in.Observed.Volumes != Present {
		s.do(SetUpVolumes{})
	}
	return s.in.Observed.Cgroup == Present && s.in.Observed.Volumes == Present
}

// replace stops all containers and sandboxes, and then makes a new sandbox if
// there is something left to run in it.
func (s *state) replace(a actions) {
	if a.createSandbox {
		s.announce()
	}
	s.abort()
	s.killAll()
	s.prune()
	if !s.quietContainers() || !s.stopSandboxes() || !a.createSandbox || !s.purgeInit() || !s.prepare() {
		return
	}
	s.do(CreateSandbox{Attempt: a.attempt})
}

// announce tells, once per sandbox, that it is replaced.
func (s *state) announce() {
	old := changeOfSandbox(s.pod, s.boxes).old
	if old == "" || s.mem.Changed == old {
		return
	}
	s.mem.Changed = old
	s.podEvent(corev1.EventTypeNormal, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
}

func (s *state) quietContainers() bool {
	return len(s.alive()) == 0 && s.mem.Starting == nil && !slices.ContainsFunc(s.in.InFlight, func(f InFlight) bool {
		switch f.Action.(type) {
		case StartContainer, StopContainer, RunPreStop, RunPostStart:
			return true
		}
		return false
	})
}

// purgeInit removes all init containers, since they run again in a new sandbox,
// and reports whether they are gone.
func (s *state) purgeInit() bool {
	gone := true
	for i := range s.pod.Spec.InitContainers {
		for _, inst := range s.all[s.pod.Spec.InitContainers[i].Name] {
			s.do(RemoveContainer{Name: inst.Name, ContainerID: inst.ID})
			gone = false
		}
	}
	return gone
}

// prune keeps one ended instance of each container, the newest, for its log and
// its status.
func (s *state) prune() {
	for c := range podutil.Containers(&s.pod.Spec, podutil.All) {
		kept := false
		for _, inst := range s.seen(c.Name) {
			switch {
			case s.mayRun(inst):
			case s.busy(StopContainer{ContainerID: inst.ID}.Key()):
			case kept:
				s.do(RemoveContainer{Name: inst.Name, ContainerID: inst.ID})
			default:
				kept = true
			}
		}
	}
}

// restartingAll says that a container's end restarts the whole pod in place, and
// that its instances are not all removed yet.
func (s *state) restartingAll() bool {
	return podutil.MayRestartAll(&s.pod.Spec) && s.shouldRestartAll() && s.anyMain()
}

// shouldRestartAll says that it was decided before, or that an instance ended in
// a way that asks for it.
func (s *state) shouldRestartAll() bool {
	if s.mem.Status != nil {
		if c := podutil.Condition(s.mem.Status, corev1.AllContainersRestarting); c != nil && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	for c := range podutil.Containers(&s.pod.Spec, podutil.Main) {
		if inst := s.latest(c.Name); inst != nil && inst.State == Exited && restartsAll(c, inst.ExitCode) {
			return true
		}
	}
	return false
}

func restartsAll(c *corev1.Container, exitCode int32) bool {
	r := podutil.MatchRestartRule(c, exitCode)
	return r != nil && r.Action == corev1.ContainerRestartRuleActionRestartAllContainers
}

func (s *state) anyMain() bool {
	for c := range podutil.Containers(&s.pod.Spec, podutil.Main) {
		if s.latest(c.Name) != nil {
			return true
		}
	}
	return false
}

// resetList orders the instances for removal: those that asked for it last, so
// that an interrupted reset is taken up again.
func (s *state) resetList() []Container {
	var victims, sources []Container
	for _, kind := range []podutil.Kind{podutil.Regular, podutil.Init} {
		for c := range podutil.Containers(&s.pod.Spec, kind) {
			for _, inst := range s.seen(c.Name) {
				if inst.State == Exited && restartsAll(c, inst.ExitCode) {
					sources = append(sources, inst)
				} else {
					victims = append(victims, inst)
				}
			}
		}
	}
	return append(victims, sources...)
}

// reset stops and removes the instances one after another.
func (s *state) reset(list []Container) {
	s.abort()
	first := list[0]
	if first.State != Exited && !s.mem.Kills[first.ID].Stopped {
		s.beginKill(kill{inst: first, message: "killing", why: KillRestartAll})
	} else if !s.busy(StopContainer{ContainerID: first.ID}.Key()) {
		s.do(RemoveContainer{Name: first.Name, ContainerID: first.ID, KeepLog: true})
	}
	s.proceed()
}
