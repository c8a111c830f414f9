package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// minStop is what every container gets between its stop signal and SIGKILL.
const minStop = 2 * time.Second

// beginKill decides to stop an instance, once. The message is what the event
// says; empty means the usual one.
func (s *state) beginKill(k kill) {
	if old, known := s.mem.Kills[k.inst.ID]; known {
		if k.why == KillPodEnd {
			s.hurry(k.inst.ID, old)
		}
		return
	}
	if k.message == "" {
		k.message = "Stopping container " + k.inst.Name
	}
	s.event(corev1.EventTypeNormal, "Killing", k.inst.Name, k.inst.ID, k.message)
	put(&s.mem.Kills, k.inst.ID, Kill{Name: k.inst.Name, Since: s.now, Grace: s.grace(k.inst.Name, k.why), Why: k.why, Restart: k.restart})
	if k.restart && k.why != KillUnknown {
		put(&s.mem.Restart, k.inst.Name, Forced{ID: k.inst.ID})
	}
}

// hurry makes a stop that began for another reason end no later than the pod.
func (s *state) hurry(id string, k Kill) {
	if end := s.podGraceEnd(); !end.IsZero() {
		k.Grace = min(k.Grace, max(0, end.Sub(k.Since)))
	}
	s.mem.Kills[id] = k
}

// podGraceEnd is when a deletion's grace is over; zero without one.
func (s *state) podGraceEnd() time.Time {
	if s.in.Deletion == nil {
		return time.Time{}
	}
	return s.in.Deletion.At.Add(s.in.Deletion.Grace)
}

// grace is what a container gets that is stopped from now on.
func (s *state) grace(name string, why KillReason) time.Duration {
	c, _ := podutil.Find(&s.pod.Spec, name)
	spec := s.pod.Spec.TerminationGracePeriodSeconds
	switch {
	case why == KillRestartAll:
		return 0
	case s.in.Deletion != nil:
		return max(0, s.in.Deletion.Grace-max(0, s.now.Sub(s.in.Deletion.At)))
	case s.mem.Verdict != nil && s.mem.Verdict.Grace != nil:
		return *s.mem.Verdict.Grace
	case spec == nil:
		return minStop
	case why == KillLiveness && c != nil && probeGrace(c.LivenessProbe) != nil:
		return seconds(*probeGrace(c.LivenessProbe))
	case why == KillStartup && c != nil && probeGrace(c.StartupProbe) != nil:
		return seconds(*probeGrace(c.StartupProbe))
	}
	return seconds(*spec)
}

func probeGrace(p *corev1.Probe) *int64 {
	if p == nil {
		return nil
	}
	return p.TerminationGracePeriodSeconds
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// proceed takes all stops one step further, in the order of the spec.
func (s *state) proceed() {
	for c := range podutil.Containers(&s.pod.Spec, podutil.All) {
		for _, inst := range s.all[c.Name] {
			if k, ok := s.mem.Kills[inst.ID]; ok {
				s.proceedKill(c, inst, k)
			}
		}
	}
}

func (s *state) proceedKill(c *corev1.Container, inst Container, k Kill) {
	stop := StopContainer{Name: inst.Name, ContainerID: inst.ID}
	up := inst.State == Running || inst.State == Unknown
	switch {
	case !up && k.Why == KillPostStart && k.StopAt.IsZero():
		// As the kubelet, which does not look whether the hook's failure was the
		// container's end.
	case !up:
		s.cancel(RunPreStop{ContainerID: inst.ID}.Key())
		if !s.busy(stop.Key()) {
			delete(s.mem.Kills, inst.ID)
		}
		return
	case inst.State == Unknown && k.Stopped:
		return
	}
	if up && !s.hookDone(c, inst, &k) || !s.turn(c, &k) {
		s.mem.Kills[inst.ID] = k
		s.wake(k.Since.Add(k.Grace))
		return
	}
	if k.HookDone.IsZero() {
		k.HookDone = k.Since
	}
	if s.busy(stop.Key()) {
		s.shorten(stop.Key(), inst.ID, k)
		return
	}
	stop.Timeout = s.timeout(k)
	k.StopAt, k.Timeout = s.now, stop.Timeout
	s.mem.Kills[inst.ID] = k
	s.do(stop)
}

// timeout is what StopContainer gets: the grace less the whole seconds that hook
// and waiting took, as the kubelet counts, but never past the end of the grace.
func (s *state) timeout(k Kill) time.Duration {
	left := k.Grace - k.HookDone.Sub(k.Since).Truncate(time.Second) - s.now.Sub(k.HookDone).Truncate(time.Second)
	end := k.Since.Add(k.Grace + minStop).Sub(s.now)
	return max(min(left.Truncate(time.Second), end.Truncate(time.Second)), minStop)
}

// shorten ends a wait for a container that would last longer than its grace now
// allows; it is stopped again with what is left.
func (s *state) shorten(key Key, id string, k Kill) {
	would := k.StopAt.Add(k.Timeout)
	if would.After(k.Since.Add(k.Grace+minStop)) && s.now.Add(s.timeout(k)).Before(would) {
		s.cancel(key)
	}
	s.mem.Kills[id] = k
}

func (s *state) stopResult(a StopContainer, r Result) {
	k, known := s.mem.Kills[a.ContainerID]
	switch {
	case r.Cancelled:
		return
	case r.Err == nil:
		s.succeeded(r)
		k.Stopped = true
		if inst := s.find(a.ContainerID); inst != nil && inst.State == Running {
			// It says that it is stopped, and it is not: ask again.
			s.failed(r)
			k.Stopped = false
		}
	default:
		s.failed(r)
		if k.Why == KillPodEnd {
			s.podEvent(corev1.EventTypeWarning, "FailedKillPod", "error killing pod: "+r.Err.Message)
		}
	}
	if known {
		s.mem.Kills[a.ContainerID] = k
	}
}
