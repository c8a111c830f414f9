package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// hooked ends a start with the result of its postStart hook. After a failure the
// container is stopped; what the hook said stays out of the event, since it may
// hold secrets.
func (s *state) hooked(st *Starting, r Result) {
	switch {
	case r.Cancelled:
		s.mem.Starting = nil
	case r.Err == nil:
		s.up(st)
	default:
		s.warn("FailedPostStartHook", st.Name, "PostStartHook failed")
		s.fail(st.Name, "PostStartHookError", r.Err.Message, time.Time{})
		delete(s.mem.Restart, st.Name)
		if inst := s.find(st.ContainerID); inst != nil && s.mem.Stage == Syncing {
			s.beginKill(kill{inst: *inst, message: "FailedPostStartHook", why: KillPostStart})
		}
	}
}

// hookDone runs the preStop hook of a container that is being stopped, and says
// whether it is over: it ended, its time is up, or there is none to run.
func (s *state) hookDone(c *corev1.Container, inst Container, k *Kill) bool {
	if !k.HookDone.IsZero() {
		return true
	}
	over := !s.now.Before(k.Since.Add(k.Grace))
	hook := RunPreStop{Name: inst.Name, ContainerID: inst.ID}
	switch {
	case c.Lifecycle == nil || c.Lifecycle.PreStop == nil:
		k.HookDone = k.Since
	case over:
		s.cancel(hook.Key())
		k.HookDone = s.now
	case !s.busy(hook.Key()):
		hook.Timeout = k.Since.Add(k.Grace).Sub(s.now)
		s.do(hook)
	}
	return !k.HookDone.IsZero()
}

func (s *state) preStopResult(a Action, r Result) {
	hook, _ := a.(RunPreStop)
	if r.Err != nil {
		s.warn("FailedPreStopHook", hook.Name, "PreStopHook failed")
	}
	if k, ok := s.mem.Kills[hook.ContainerID]; ok && k.HookDone.IsZero() {
		k.HookDone = s.now
		s.mem.Kills[hook.ContainerID] = k
	}
}
