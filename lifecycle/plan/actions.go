package plan

import (
	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// actions are what a pod that is kept running needs, as the kubelet computes it:
// everything at once, with no regard to what is under way.
type actions struct {
	// killPod stops all containers and the sandbox.
	killPod       bool
	createSandbox bool
	attempt       uint32
	kills         []kill
	starts        []start
	// reset are instances to be removed so that the whole pod starts anew.
	reset []Container
}

// kill is a container to stop, and what to say about it.
type kill struct {
	inst    Container
	message string
	why     KillReason
	restart bool
}

// compute decides from the facts alone.
func (s *state) compute() actions {
	change := changeOfSandbox(s.pod, s.boxes)
	if !change.needed && s.restartingAll() {
		return actions{reset: s.resetList()}
	}
	if change.needed {
		return s.computeNewSandbox(change)
	}
	var a actions
	s.computeEphemeral(&a)
	initialized := s.computeInit(&a)
	if a.killPod || !initialized {
		return a
	}
	kept := s.computeRegular(&a)
	if kept == 0 && !startsRegular(a.starts) {
		// Sidecars alone do not keep a pod alive.
		a.killPod, a.starts, a.kills = true, nil, nil
	}
	return a
}

func startsRegular(starts []start) bool {
	for _, x := range starts {
		if x.kind == Regular {
			return true
		}
	}
	return false
}

// computeNewSandbox is for a pod without a usable sandbox: everything is stopped,
// and begins anew unless the pod has run its course.
func (s *state) computeNewSandbox(change sandboxChange) actions {
	a := actions{killPod: true, attempt: change.attempt}
	if s.pod.Spec.RestartPolicy == corev1.RestartPolicyNever && change.attempt != 0 && len(s.all) != 0 {
		return a
	}
	var starts []start
	for i := range s.pod.Spec.Containers {
		if c := &s.pod.Spec.Containers[i]; !runsOnce(&s.pod.Spec, c) || !s.endedWell(c.Name) {
			starts = append(starts, start{c.Name, Regular})
		}
	}
	if len(starts) == 0 && s.anyRegular() {
		return a
	}
	a.createSandbox = true
	if len(s.pod.Spec.InitContainers) > 0 {
		c := &s.pod.Spec.InitContainers[0]
		starts = []start{{c.Name, s.kind(c.Name)}}
	}
	a.starts = starts
	return a
}

// runsOnce says that success of the container is final.
func runsOnce(spec *corev1.PodSpec, c *corev1.Container) bool {
	if c.RestartPolicy != nil {
		return *c.RestartPolicy == corev1.ContainerRestartPolicyOnFailure
	}
	return spec.RestartPolicy == corev1.RestartPolicyOnFailure
}

func (s *state) endedWell(name string) bool {
	c := s.latest(name)
	return c != nil && c.State == Exited && c.ExitCode == 0
}

// anyRegular says that a regular container was created: the pod was initialised.
func (s *state) anyRegular() bool {
	for i := range s.pod.Spec.Containers {
		if c := s.latest(s.pod.Spec.Containers[i].Name); c != nil && c.State != Unknown {
			return true
		}
	}
	return false
}

// computeEphemeral starts each ephemeral container once, whatever else goes on.
func (s *state) computeEphemeral(a *actions) {
	for i := range s.pod.Spec.EphemeralContainers {
		if name := s.pod.Spec.EphemeralContainers[i].Name; s.latest(name) == nil {
			a.starts = append(a.starts, start{name, Ephemeral})
		}
	}
}

// changed says that an instance was made from another spec.
func changed(c *corev1.Container, inst *Container) bool {
	return inst.SpecHash != 0 && inst.SpecHash != podutil.HashContainer(c)
}

// restartable says whether a container that we end is to run again: by policy
// alone, since there is no exit code yet.
func restartable(spec *corev1.PodSpec, c *corev1.Container) bool {
	if c.RestartPolicy != nil {
		return *c.RestartPolicy != corev1.ContainerRestartPolicyNever
	}
	return spec.RestartPolicy != corev1.RestartPolicyNever
}

// shouldRun says whether a container that does not run should.
func (s *state) shouldRun(c *corev1.Container) bool {
	inst := s.latest(c.Name)
	switch {
	case s.in.Deletion != nil || s.mem.Stage != Syncing:
		return false
	case inst == nil, inst.State == Unknown, inst.State == Created:
		return true
	case inst.State == Running:
		return false
	}
	return s.mem.Restart[c.Name].ID == inst.ID || podutil.ShouldRestart(&s.pod.Spec, c, inst.ExitCode)
}
