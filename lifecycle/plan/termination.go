package plan

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// terminate stops everything that runs, and then the sandbox. Work in flight
// that would make something is cancelled.
func (s *state) terminate() {
	s.abort()
	for k, a := range s.inFlight {
		switch a.(type) {
		case EnsureCgroup, SetUpVolumes, CreateSandbox:
			s.cancel(k)
		}
	}
	s.killAll()
	if s.quiet() {
		s.stopSandboxes()
	}
}

// killAll stops all instances: hooks of all at once, then ordinary containers,
// then sidecars, the last one first.
func (s *state) killAll() {
	for _, inst := range s.alive() {
		s.beginKill(kill{inst: inst, why: KillPodEnd})
	}
	s.proceed()
}

// quiet says that nothing runs and nothing is being made.
func (s *state) quiet() bool {
	if len(s.alive()) > 0 {
		return false
	}
	for _, a := range s.inFlight {
		switch a.(type) {
		case EnsureCgroup, SetUpVolumes, CreateSandbox, CheckImage, PullImage, StartContainer, RunPostStart, RunPreStop, StopContainer:
			return false
		}
	}
	return true
}

// turn says whether a container may get its stop signal: a sidecar waits for all
// regular containers and for the sidecars after it, as long as there is grace.
func (s *state) turn(c *corev1.Container, k *Kill) bool {
	if k.Why != KillPodEnd || s.kind(c.Name) != Sidecar || !s.now.Before(k.Since.Add(k.Grace)) {
		return true
	}
	after := false
	for other, kind := range podutil.Containers(&s.pod.Spec, podutil.Main) {
		if kind == podutil.Regular || after && podutil.IsSidecar(other) {
			if slices.ContainsFunc(s.all[other.Name], s.mayRun) {
				return false
			}
		}
		after = after || other.Name == c.Name
	}
	return true
}

// mayRun says that an instance runs, or that nobody knows and it was not stopped.
func (s *state) mayRun(c Container) bool {
	return c.State == Running || c.State == Unknown && !s.mem.Kills[c.ID].Stopped
}

// cleanUp gives back what a pod held that has nothing running: volumes and
// cgroup, and, when it was deleted, its containers and sandboxes.
func (s *state) cleanUp() {
	if s.in.Deletion != nil {
		for c := range podutil.Containers(&s.pod.Spec, podutil.All) {
			for _, inst := range s.all[c.Name] {
				s.do(RemoveContainer{Name: inst.Name, ContainerID: inst.ID})
			}
		}
		for _, b := range s.boxes {
			if !s.inhabited(b.ID) {
				s.do(RemoveSandbox{ID: b.ID})
			}
		}
	}
	if s.in.Deletion == nil {
		s.prune()
		s.removeOldSandboxes()
	}
	if s.in.Observed.Volumes != Absent {
		s.do(TearDownVolumes{})
	}
	if s.in.Observed.Cgroup != Absent && (s.in.Deletion == nil || len(s.boxes) == 0) {
		s.do(RemoveCgroup{})
	}
}

func (s *state) given() bool {
	return s.mem.Stage == Terminated && s.in.Observed.Volumes == Absent && s.in.Observed.Cgroup == Absent
}

func (s *state) done() bool {
	return s.in.Deletion != nil && s.given() && s.mem.Final && len(s.boxes) == 0 &&
		len(s.in.Observed.Containers) == 0 && len(s.in.InFlight) == 0 && len(s.out.Actions) == 0
}

// judge ends the pod from outside its containers: past its deadline, or evicted.
func (s *state) judge() {
	if s.mem.Verdict != nil || s.mem.Stage == Terminated {
		return
	}
	if e := s.in.Eviction; e != nil {
		s.mem.Verdict = &Verdict{Reason: e.Reason, Message: e.Message, Grace: e.Grace, Condition: e.Condition}
		s.podEvent(corev1.EventTypeWarning, e.Reason, e.Message)
		return
	}
	if end, ok := s.deadline(s.mem.Status); ok && s.in.Deletion == nil && s.mem.Stage == Syncing && !s.now.Before(end) {
		s.mem.Verdict = &Verdict{Reason: "DeadlineExceeded", Message: "Pod was active on the node longer than the specified deadline"}
		s.podEvent(corev1.EventTypeNormal, s.mem.Verdict.Reason, s.mem.Verdict.Message)
	}
}

// deadline is when activeDeadlineSeconds are over. They count from the start
// time that the status shows, which has whole seconds.
func (s *state) deadline(status *corev1.PodStatus) (time.Time, bool) {
	d := s.pod.Spec.ActiveDeadlineSeconds
	if d == nil || status == nil || status.StartTime.IsZero() {
		return time.Time{}, false
	}
	return status.StartTime.Add(seconds(*d)), true
}

func (s *state) deadlineWake(status corev1.PodStatus) {
	if end, ok := s.deadline(&status); ok && s.mem.Stage == Syncing {
		s.wake(end)
	}
}
