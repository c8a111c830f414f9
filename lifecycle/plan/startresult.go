package plan

import (
	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// startResult takes a start one step further. Results of starts that were
// dropped meanwhile change nothing.
func (s *state) startResult(r Result) {
	st := s.mem.Starting
	if st == nil {
		return
	}
	c, _ := podutil.Find(&s.pod.Spec, st.Name)
	switch a := r.Action.(type) {
	case CheckImage:
		if a.Container == st.Name && st.Step == StepImage {
			s.checked(c, st, a, r)
		}
	case PullImage:
		if a.Container == st.Name && st.Step == StepPull {
			s.pulled(c, st, a, r)
		}
	case StartContainer:
		if a.Name == st.Name && st.Step == StepStart {
			s.started(c, st, r)
		}
	case RunPostStart:
		if a.ContainerID == st.ContainerID && st.Step == StepPostStart {
			s.hooked(st, r)
		}
	}
}

// createErrors maps what can go wrong before a container exists to the words
// before its message in the event.
var createErrors = map[string]string{
	"CreateContainerConfigError": "Error: ",
	"CreateContainerError":       "Error: ",
	"PreCreateHookError":         "Internal PreCreateContainer hook failed: ",
	"PreStartHookError":          "Internal PreStartContainer hook failed: ",
}

func (s *state) started(c *corev1.Container, st *Starting, r Result) {
	if r.ID != "" {
		put(&s.mem.Attempts, st.Name, st.Attempt+1)
		if !r.Cancelled {
			s.event(corev1.EventTypeNormal, "Created", st.Name, r.ID, "Container created")
		}
	}
	switch {
	case r.Cancelled:
		s.mem.Starting = nil
	case r.Err == nil:
		s.event(corev1.EventTypeNormal, "Started", st.Name, r.ID, "Container started")
		st.ContainerID = r.ID
		if c.Lifecycle != nil && c.Lifecycle.PostStart != nil {
			st.Step = StepPostStart
			return
		}
		s.up(st)
	default:
		s.startFailed(st, r)
	}
}

func (s *state) startFailed(st *Starting, r Result) {
	reason := r.Err.Reason
	prefix, known := createErrors[reason]
	switch {
	case r.ID != "":
		// The container is there and has exited: the crash backoff rules.
		s.event(corev1.EventTypeWarning, "Failed", st.Name, r.ID, "Error: "+r.Err.Message)
		s.fail(st.Name, "RunContainerError", r.Err.Message, s.now)
		return
	case !known:
		reason, prefix = "CreateContainerError", "Error: "
	}
	s.event(corev1.EventTypeWarning, "Failed", st.Name, r.ID, prefix+r.Err.Message)
	s.fail(st.Name, reason, r.Err.Message, s.errorUntil(st.Name))
}

// up ends a start that went well.
func (s *state) up(st *Starting) {
	delete(s.mem.Failures, st.Name)
	delete(s.mem.Restart, st.Name)
	s.mem.Starting = nil
}
