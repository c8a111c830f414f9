package plan

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// start is a container that should be started.
type start struct {
	name string
	kind ContainerKind
}

// drive goes on with the start under way, or chooses the next one. Containers
// are started one after another, hook included, as the kubelet does: what a
// later one finds is what the earlier ones made.
func (s *state) drive(starts []start) {
	if st := s.mem.Starting; st != nil {
		wanted := slices.ContainsFunc(starts, func(x start) bool { return x.name == st.Name })
		if !wanted && !s.holdsOn(st) {
			s.mem.Starting = nil
		}
	}
	if s.mem.Starting == nil {
		s.choose(starts)
	}
	if s.mem.Starting != nil {
		s.step(s.mem.Starting)
	}
}

// holdsOn says that a start cannot be dropped: its container may exist.
func (s *state) holdsOn(st *Starting) bool {
	return st.Step == StepPostStart || st.Step == StepStart && s.busy(StartContainer{Name: st.Name}.Key())
}

// choose begins the first start that nothing holds up. An init container that
// waits holds up all that come after it.
func (s *state) choose(starts []start) {
	for _, x := range starts {
		c, _ := podutil.Find(&s.pod.Spec, x.name)
		switch {
		case s.ending(x.name):
		case s.waits(c), s.crashed(c):
			if x.kind == Init {
				return
			}
		default:
			s.begin(c, x.kind)
			return
		}
	}
}

// ending says that an instance of the container is still being stopped.
func (s *state) ending(name string) bool {
	for id, k := range s.mem.Kills {
		if k.Name != name {
			continue
		}
		if c := s.find(id); s.busy(StopContainer{ContainerID: id}.Key()) ||
			c != nil && s.mayRun(*c) {
			return true
		}
	}
	return false
}

// waits says that the last failure's pause is not over.
func (s *state) waits(c *corev1.Container) bool {
	f, ok := s.mem.Failures[c.Name]
	if !ok || !s.now.Before(f.Until) {
		return false
	}
	s.wake(f.Until)
	if pullReasons[f.Reason] {
		s.pullBackoff(c, f)
	}
	return true
}

func (s *state) begin(c *corev1.Container, kind ContainerKind) {
	st := &Starting{Name: c.Name, Kind: kind, Attempt: s.nextAttempt(c.Name), Step: StepImage}
	s.mem.Starting = st
	if s.nameless(c, st) {
		return
	}
	if pullPolicy(c) == corev1.PullAlways {
		s.wantPull(c, st)
	}
}

// nextAttempt is the restart count of the next instance: one more than any
// before, also than those that are gone.
func (s *state) nextAttempt(name string) uint32 {
	next := max(s.mem.Attempts[name], s.in.Observed.Attempts[name])
	for _, c := range s.all[name] {
		next = max(next, c.Attempt+1)
	}
	return next
}

// step issues what the start needs next. Steps follow one another by results.
func (s *state) step(st *Starting) {
	c, _ := podutil.Find(&s.pod.Spec, st.Name)
	switch st.Step {
	case StepImage:
		s.do(CheckImage{Container: st.Name, Image: c.Image})
	case StepPull:
		s.do(PullImage{Container: st.Name, Image: c.Image})
	case StepStart:
		s.do(StartContainer{Name: st.Name, Kind: st.Kind, Attempt: st.Attempt, SandboxID: s.boxes[0].ID, ImageRef: st.ImageRef})
	case StepPostStart:
		st.Hooked = true
		s.do(RunPostStart{Name: st.Name, ContainerID: st.ContainerID})
	}
}

// fail ends the start under way and keeps the reason for the status.
func (s *state) fail(name, reason, message string, until time.Time) {
	f := StartFailure{Reason: reason, Message: message, At: s.now, Until: until, Tries: s.mem.Failures[name].Tries + 1}
	put(&s.mem.Failures, name, f)
	s.mem.Starting = nil
}

// errorUntil is when to try again after an error that left no container: at once
// after the first one, as the kubelet's next look at a new pod does.
func (s *state) errorUntil(name string) time.Time {
	if s.mem.Failures[name].Tries == 0 && s.latest(name) == nil {
		return s.now
	}
	return s.now.Add(errorPause)
}

// abort gives up all starting, whatever it does. While the runtime is at work on
// a container itself, its end is waited for.
func (s *state) abort() {
	for k, a := range s.inFlight {
		switch a.(type) {
		case CheckImage, PullImage, StartContainer, RunPostStart:
			s.cancel(k)
		}
	}
	st := s.mem.Starting
	if st == nil || s.busy(StartContainer{Name: st.Name}.Key()) {
		return
	}
	s.mem.Starting = nil
	s.again = s.again || st.ContainerID != ""
}
