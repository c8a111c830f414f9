package plan

import "slices"

// Next decides. It is deterministic: equal inputs give equal plans, lists are in
// a fixed order.
func Next(in Input) Plan {
	s := open(in)
	s.results()
	s.resume()
	s.judge()
	s.advance()
	status := s.makeStatus()
	switch s.mem.Stage {
	case Syncing:
		s.sync()
	case Terminating:
		s.terminate()
	case Terminated:
		s.cleanUp()
	}
	s.forget()
	return s.close(status)
}

// advance moves the stage on as far as the facts allow.
func (s *state) advance() {
	if s.mem.Stage == Syncing && (s.in.Deletion != nil || s.mem.Verdict != nil) {
		s.mem.Stage = Terminating
	}
	if s.mem.Stage == Terminating && s.quiet() && s.sandboxesStopped() {
		s.mem.Stage, s.mem.Starting = Terminated, nil
	}
}

// forget drops records of what is no longer there.
func (s *state) forget() {
	for id := range s.mem.Kills {
		if s.find(id) == nil && !s.busy(StopContainer{ContainerID: id}.Key()) {
			delete(s.mem.Kills, id)
		}
	}
	s.mem.Stopped = slices.DeleteFunc(s.mem.Stopped, func(id string) bool {
		return !slices.ContainsFunc(s.boxes, func(b Sandbox) bool { return b.ID == id })
	})
}
