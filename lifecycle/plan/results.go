package plan

import corev1 "k8s.io/api/core/v1"

// results learns from the actions that ended.
func (s *state) results() {
	for _, r := range s.in.Finished {
		switch a := r.Action.(type) {
		case CheckImage, PullImage, StartContainer, RunPostStart:
			s.startResult(r)
		case RunPreStop:
			s.preStopResult(a, r)
		case StopSandbox:
			if s.outcome(r) {
				s.mem.Stopped = append(s.mem.Stopped, a.ID)
			} else if !r.Cancelled {
				s.podEvent(corev1.EventTypeWarning, "FailedKillPod", "error killing pod: "+r.Err.Message)
			}
		case CreateSandbox:
			if !s.outcome(r) && !r.Cancelled && s.in.Deletion == nil {
				s.podEvent(corev1.EventTypeWarning, "FailedCreatePodSandBox", "Failed to create pod sandbox: "+r.Err.Message)
			}
		case SetUpVolumes:
			if !s.outcome(r) && !r.Cancelled {
				s.podEvent(corev1.EventTypeWarning, "FailedMount", r.Err.Message)
			}
		case EnsureCgroup:
			if !s.outcome(r) && !r.Cancelled {
				s.podEvent(corev1.EventTypeWarning, "FailedCreatePodContainer", "unable to ensure pod container exists: "+r.Err.Message)
			}
		case StopContainer:
			s.stopResult(a, r)
		default:
			s.outcome(r)
		}
	}
}

// outcome keeps the pause after a failure and reports success.
func (s *state) outcome(r Result) bool {
	switch {
	case r.Cancelled:
		return false
	case r.Err != nil:
		s.failed(r)
		return false
	}
	s.succeeded(r)
	return true
}
