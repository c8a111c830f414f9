package plan

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// statusID is how statuses name an instance.
func (c Container) statusID() string {
	if c.Runtime == "" {
		return c.ID
	}
	return c.Runtime + "://" + c.ID
}

func (s *state) oldStatus(name string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{s.old().InitContainerStatuses, s.old().ContainerStatuses, s.old().EphemeralContainerStatuses} {
		if st := podutil.Status(list, name); st != nil {
			return st
		}
	}
	return nil
}

// containerStatuses are the statuses of the init containers in the order of the
// spec, of the others in the order of their names.
func (s *state) containerStatuses() (inits, regular, ephemeral []corev1.ContainerStatus) {
	all := s.shouldRestartAllMain()
	for c, kind := range podutil.Containers(&s.pod.Spec, podutil.All) {
		st := s.containerStatus(c, kind, all)
		switch kind {
		case podutil.Init:
			inits = append(inits, st)
		case podutil.Regular:
			regular = append(regular, st)
		default:
			ephemeral = append(ephemeral, st)
		}
	}
	byName := func(a, b corev1.ContainerStatus) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(regular, byName)
	slices.SortFunc(ephemeral, byName)
	return inits, regular, ephemeral
}

// supersedes says that the status tells the end of an instance that is gone and
// was newer than the newest that is left.
func supersedes(old *corev1.ContainerStatus, inst Container) bool {
	return old != nil && old.State.Running == nil && old.ContainerID != inst.statusID() && old.RestartCount > int32(inst.Attempt)
}

func (s *state) shouldRestartAllMain() bool {
	return podutil.MayRestartAll(&s.pod.Spec) && s.shouldRestartAll()
}

func (s *state) containerStatus(c *corev1.Container, kind podutil.Kind, restartingAll bool) corev1.ContainerStatus {
	old := s.oldStatus(c.Name)
	insts := s.seen(c.Name)
	var st corev1.ContainerStatus
	switch {
	case len(insts) == 0:
		st = s.withoutInstance(c, old, restartingAll)
	case supersedes(old, insts[0]):
		st = *old.DeepCopy()
	default:
		st = s.fromInstance(c, insts[0], old)
		if len(insts) > 1 {
			st.LastTerminationState = stateOf(insts[1])
		}
	}
	if end := st.LastTerminationState.Terminated; s.mem.Stage != Syncing && st.State.Waiting != nil && end != nil && end.ContainerID == st.ContainerID && st.ContainerID != "" {
		// It waited for a restart that will not come: its end is its state.
		st.State = corev1.ContainerState{Terminated: end}
	}
	st.VolumeMounts = s.volumeMounts(c)
	s.waiting(c, kind, insts, &st)
	s.setReady(c, kind, insts, &st)
	truncate(&st, s.messageLimit())
	return st
}

// withoutInstance is the status of a container that the runtime does not know:
// not yet, or no more.
func (s *state) withoutInstance(c *corev1.Container, old *corev1.ContainerStatus, restartingAll bool) corev1.ContainerStatus {
	st := corev1.ContainerStatus{Name: c.Name, Image: c.Image}
	st.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
	if len(s.pod.Spec.InitContainers) > 0 {
		st.State.Waiting.Reason = "PodInitializing"
	}
	if old == nil {
		return st
	}
	st.RestartCount, st.LastTerminationState = old.RestartCount, *old.LastTerminationState.DeepCopy()
	switch {
	case restartingAll && old.State.Waiting == nil:
		const message = "The container is removed because RestartAllContainers in place"
		st.State.Waiting = &corev1.ContainerStateWaiting{Reason: restartingAllReason, Message: message}
		st.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{Reason: restartingAllReason, Message: message, ExitCode: 137}
		st.RestartCount++
	case old.State.Terminated != nil, old.State.Waiting != nil && old.ContainerID != "", restartingAll && old.State.Waiting != nil && old.State.Waiting.Reason == restartingAllReason:
		return *old.DeepCopy()
	case old.State.Running != nil && st.LastTerminationState.Terminated == nil:
		st.LastTerminationState.Terminated = unknownEnd("The container could not be located when the pod was deleted.  The container used to be Running")
		if s.in.Deletion == nil {
			st.RestartCount++
		}
	}
	return st
}

// fromInstance is the status of a container of which an instance is there.
func (s *state) fromInstance(c *corev1.Container, inst Container, old *corev1.ContainerStatus) corev1.ContainerStatus {
	st := corev1.ContainerStatus{Name: c.Name, RestartCount: int32(inst.Attempt), Image: inst.Image, ImageID: inst.ImageRef,
		ContainerID: inst.statusID(), State: stateOf(inst), User: inst.User.DeepCopy()}
	if inst.StopSignal != nil {
		signal := *inst.StopSignal
		st.StopSignal = &signal
	}
	st.Resources = appliedResources(c, inst)
	st.AllocatedResources = c.Resources.Requests.DeepCopy()
	if old == nil {
		return st
	}
	st.RestartCount = max(st.RestartCount, old.RestartCount)
	switch {
	case old.ContainerID != st.ContainerID && old.State.Terminated != nil:
		st.LastTerminationState.Terminated = old.State.Terminated.DeepCopy()
	case old.LastTerminationState.Terminated != nil:
		st.LastTerminationState.Terminated = old.LastTerminationState.Terminated.DeepCopy()
	}
	if inst.State == Unknown && old.State.Running != nil {
		st.State = corev1.ContainerState{Terminated: unknownEnd("The container could not be located when the pod was terminated")}
		st.RestartCount = old.RestartCount + 1
	}
	return st
}

func stateOf(inst Container) corev1.ContainerState {
	switch inst.State {
	case Running:
		return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metaTime(inst.StartedAt)}}
	case Exited:
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: inst.ExitCode, Reason: inst.Reason, Message: inst.Message,
			StartedAt: metaTime(inst.StartedAt), FinishedAt: metaTime(inst.FinishedAt), ContainerID: inst.statusID()}}
	}
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}
}

// waiting shows why a container that should run does not.
func (s *state) waiting(c *corev1.Container, kind podutil.Kind, insts []Container, st *corev1.ContainerStatus) {
	if kind == podutil.Init {
		switch {
		case len(insts) > 0 && insts[0].State == Exited && insts[0].ExitCode == 0:
			return
		case len(insts) == 0 && st.State.Waiting != nil && st.State.Waiting.Reason == restartingAllReason:
			return
		case len(insts) == 0 && s.regularActive() && !podutil.IsSidecar(c) && st.State.Waiting != nil:
			st.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed",
				Message: "Unable to get init container status from container runtime and pod has been initialized, treat it as exited normally"}}
			return
		}
	}
	f, failed := s.mem.Failures[c.Name]
	if !failed || !s.shouldRun(c) {
		return
	}
	if old := s.oldStatus(c.Name); old != nil && old.State.Waiting != nil && s.hookFailing(c.Name) {
		st.State, st.LastTerminationState = *old.State.DeepCopy(), *old.LastTerminationState.DeepCopy()
		return
	}
	if st.State.Terminated != nil {
		st.LastTerminationState = st.State
	}
	st.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: f.Reason, Message: f.Message}}
}

// hookFailing says that the newest instance is still being stopped because its
// postStart hook failed: only when it has ended the start has.
func (s *state) hookFailing(name string) bool {
	list := s.all[name]
	return len(list) > 0 && list[0].State == Running && s.mem.Kills[list[0].ID].Why == KillPostStart
}

// setReady says whether a container has started, and whether it is ready.
func (s *state) setReady(c *corev1.Container, kind podutil.Kind, insts []Container, st *corev1.ContainerStatus) {
	st.Ready, st.Started = false, nil
	if kind == podutil.Ephemeral {
		return
	}
	started := st.State.Running != nil && len(insts) > 0 && (c.StartupProbe == nil || s.startedUp(insts[0]))
	st.Started = &started
	switch {
	case kind == podutil.Init && !podutil.IsSidecar(c):
		st.Ready = st.State.Terminated != nil && st.State.Terminated.ExitCode == 0
	case started && c.ReadinessProbe == nil:
		st.Ready = true
	case started:
		r := s.verdict(insts[0], Readiness)
		old := s.oldStatus(c.Name)
		// A verdict that an agent's death lost stays until there is a new one.
		st.Ready = r == probeOK || r == probeUnknown && old != nil && old.ContainerID == st.ContainerID && old.Ready
	}
}
