package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// probeResult is what a probe says of an instance; the zero value is nothing yet.
type probeResult int

const (
	probeUnknown probeResult = iota
	probeOK
	probeFailed
)

func (s *state) verdict(c Container, kind ProbeKind) probeResult {
	ok, known := s.verdicts[probeKey{c.ID, kind}]
	switch {
	case !known:
		return probeUnknown
	case ok:
		return probeOK
	}
	return probeFailed
}

// startedUp says that the instance's startup probe has succeeded, now or before.
func (s *state) startedUp(c Container) bool {
	if r := s.verdict(c, Startup); r != probeUnknown {
		return r == probeOK
	}
	old := s.oldStatus(c.Name)
	return old != nil && old.ContainerID == c.statusID() && old.State.Running != nil && old.Started != nil && *old.Started
}

// probes are those that should run: of containers that are up and not being
// stopped; only readiness once the pod terminates. The startup probe comes first
// and alone.
func (s *state) probes(status corev1.PodStatus) []ProbeSpec {
	var out []ProbeSpec
	if s.mem.Stage == Terminated {
		return nil
	}
	statuses := slices.Concat(status.InitContainerStatuses, status.ContainerStatuses)
	for c, kind := range podutil.Containers(&s.pod.Spec, podutil.Main) {
		inst := s.latest(c.Name)
		st := podutil.Status(statuses, c.Name)
		if inst == nil || st.State.Running == nil || st.ContainerID != inst.statusID() || kind == podutil.Init && !podutil.IsSidecar(c) {
			continue
		}
		add := func(k ProbeKind, p *corev1.Probe) {
			if p != nil {
				out = append(out, ProbeSpec{ContainerID: inst.ID, Container: c.Name, Kind: k, Probe: p.DeepCopy(), Since: inst.StartedAt})
			}
		}
		_, ending := s.mem.Kills[inst.ID]
		ending = ending || s.mem.Stage != Syncing
		if !*st.Started {
			if !ending {
				add(Startup, c.StartupProbe)
			}
			continue
		}
		if !ending {
			add(Liveness, c.LivenessProbe)
		}
		add(Readiness, c.ReadinessProbe)
	}
	return out
}
