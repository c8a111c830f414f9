package plan

import podutil "github.com/lifepod/lifepod/pod"

// resume takes up a start that an agent's death interrupted. Looking for the
// image and pulling it begin again by themselves; here a container that exists
// already is recognised, so that there is never a second one.
func (s *state) resume() {
	st := s.mem.Starting
	if st == nil {
		return
	}
	switch st.Step {
	case StepStart:
		if !s.busy(StartContainer{Name: st.Name}.Key()) {
			s.resumeStart(st)
		}
	case StepPostStart:
		inst := s.find(st.ContainerID)
		if st.Hooked && !s.busy(RunPostStart{ContainerID: st.ContainerID}.Key()) && (inst == nil || inst.State != Running) {
			s.up(st)
		}
	}
}

func (s *state) resumeStart(st *Starting) {
	if len(s.all[st.Name]) == 0 || s.all[st.Name][0].Attempt < st.Attempt {
		return
	}
	inst := s.all[st.Name][0]
	c, _ := podutil.Find(&s.pod.Spec, st.Name)
	switch {
	case inst.State != Running:
		s.mem.Starting = nil
	case c.Lifecycle != nil && c.Lifecycle.PostStart != nil:
		st.Step, st.ContainerID = StepPostStart, inst.ID
	default:
		s.up(st)
	}
}
