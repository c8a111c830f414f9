package plan

import (
	"errors"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/image/policy"
)

// pullReasons are the reasons of a pull that failed; ImagePullBackOff follows.
var pullReasons = map[string]bool{
	policy.ReasonPull: true, policy.ReasonRegistryUnavailable: true, policy.ReasonSignature: true,
}

// pullPolicy is the container's, by its tag when it names none.
func pullPolicy(c *corev1.Container) corev1.PullPolicy {
	if c.ImagePullPolicy != "" {
		return c.ImagePullPolicy
	}
	return corev1.PullPolicy(policy.Default(c.Image))
}

// checked decides with what is known of the image.
func (s *state) checked(c *corev1.Container, st *Starting, a CheckImage, r Result) {
	switch {
	case r.Cancelled:
		s.mem.Starting = nil
	case r.Err != nil:
		reason := r.Err.Reason
		if reason != policy.ReasonInvalidName {
			reason = policy.ReasonInspect
		}
		s.warn("InspectFailed", st.Name, r.Err.Message)
		s.imageFailed(st, reason, r.Err.Message)
	case r.Image.Ref != "" && !r.Image.MustPull:
		s.tell("Pulled", st.Name, policy.PresentMessage(a.Image))
		st.Step, st.ImageRef = StepStart, r.Image.Ref
	case pullPolicy(c) == corev1.PullNever:
		s.warn(policy.ReasonNeverPull, st.Name, policy.NeverPullMessage(a.Image))
		s.imageFailed(st, policy.ReasonNeverPull, policy.NeverPullMessage(a.Image))
	default:
		s.wantPull(c, st)
	}
}

// imageFailed is for what no pull can mend; it is looked at again after a pause.
func (s *state) imageFailed(st *Starting, reason, message string) {
	s.warn("Failed", st.Name, "Error: "+reason)
	s.fail(st.Name, reason, message, s.errorUntil(st.Name))
}

// nameless ends the start of a container whose image has no name that can be
// parsed, and says so: nobody is asked for such an image.
func (s *state) nameless(c *corev1.Container, st *Starting) bool {
	_, err := policy.WithDefaultTag(c.Image)
	if err == nil {
		return false
	}
	message := policy.InvalidNameMessage(c.Image, err)
	s.warn("InspectFailed", st.Name, message)
	s.imageFailed(st, policy.ReasonInvalidName, message)
	s.again = true
	return true
}

// wantPull pulls, unless the last pull of this image failed a moment ago.
func (s *state) wantPull(c *corev1.Container, st *Starting) {
	b := s.mem.Pull[c.Image]
	if until, ok := PullBackoff.Until(b.BackoffEntry, s.now, b.Updated); ok && s.now.Before(until) {
		s.pullBackoff(c, StartFailure{At: s.now, Until: until})
		s.mem.Starting = nil
		return
	}
	st.Step = StepPull
	s.tell("Pulling", st.Name, policy.PullingMessage(c.Image))
}

func (s *state) pulled(c *corev1.Container, st *Starting, a PullImage, r Result) {
	switch {
	case r.Cancelled:
		s.mem.Starting = nil
	case r.Err == nil:
		s.tell("Pulled", st.Name, policy.PulledMessage(a.Image, r.Image.PullDuration, r.Ended.Sub(r.Started), r.Image.Size))
		st.Step, st.ImageRef = StepStart, r.Image.Ref
	case r.Err.Reason == policy.ReasonInvalidName:
		s.warn("InspectFailed", st.Name, r.Err.Message)
		s.imageFailed(st, policy.ReasonInvalidName, r.Err.Message)
	default:
		why := policy.Failed(a.Image, reasoned{errors.New(r.Err.Message), r.Err.Reason})
		b := Backoff{BackoffEntry: PullBackoff.Next(s.mem.Pull[c.Image].BackoffEntry, s.now, s.now), Cause: why.String()}
		put(&s.mem.Pull, c.Image, b)
		s.warn("Failed", st.Name, policy.FailedMessage(a.Image, errors.New(r.Err.Message)))
		s.warn("Failed", st.Name, "Error: "+why.Reason)
		if missing := r.Image.MissingSecrets; len(missing) > 0 && why.Reason == policy.ReasonPull {
			s.event(corev1.EventTypeWarning, policy.EventMissingSecret, "", "", policy.MissingSecretsMessage(missing))
		}
		s.fail(st.Name, why.Reason, why.Message, s.now.Add(b.Delay))
	}
}

// reasoned gives a text back the reason that it was handed over with.
type reasoned struct {
	error
	reason string
}

func (r reasoned) Reason() string { return r.reason }

// pullBackoff shows ImagePullBackOff, with the next status: this one still shows
// the failure itself.
func (s *state) pullBackoff(c *corev1.Container, f StartFailure) {
	f.Reason, f.Message = policy.ReasonBackOff, policy.BackOffMessage(c.Image)
	if cause := s.mem.Pull[c.Image].Cause; cause != "" {
		f.Message += ": " + cause
	}
	put(&s.mem.Failures, c.Name, f)
	s.again = true
	s.tell("BackOff", c.Name, policy.BackOffMessage(c.Image))
	s.warn("Failed", c.Name, "Error: "+policy.ReasonBackOff)
}
