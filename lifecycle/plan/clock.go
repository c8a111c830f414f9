package plan

import "time"

// Times that this package takes from Input.Now keep its monotonic reading, so
// that intervals survive a step of the wall clock. The two exceptions are seen
// to here: times from the runtime, and Memory that was saved and read again.

// noteEnds takes down, on our own clock, when instances ended.
func (s *state) noteEnds() {
	for id := range s.mem.Ended {
		if s.find(id) == nil {
			delete(s.mem.Ended, id)
		}
	}
	for _, list := range s.all {
		for _, c := range list {
			if _, known := s.mem.Ended[c.ID]; c.State == Exited && !known {
				put(&s.mem.Ended, c.ID, s.now.Add(-max(0, s.now.Sub(c.FinishedAt))))
			}
		}
	}
}

// rewind pulls times that lie in the future, because the clock went back between
// two agents, to now: a pause is then waited for once more, never for an hour.
func (s *state) rewind() {
	past := func(t *time.Time) {
		if t.After(s.now) {
			*t = s.now
		}
	}
	for id, k := range s.mem.Kills {
		past(&k.Since)
		past(&k.HookDone)
		past(&k.StopAt)
		s.mem.Kills[id] = k
	}
	for id, t := range s.mem.Ended {
		past(&t)
		s.mem.Ended[id] = t
	}
	for _, m := range []map[string]Backoff{s.mem.Crash, s.mem.Pull} {
		for k, b := range m {
			past(&b.Updated)
			m[k] = b
		}
	}
	for k, r := range s.mem.Retry {
		if r.Until.After(s.now.Add(r.Delay)) {
			r.Until = s.now.Add(r.Delay)
			s.mem.Retry[k] = r
		}
	}
	for k, f := range s.mem.Failures {
		if limit := s.now.Add(PullBackoff.Max); f.Until.After(limit) {
			f.Until = limit
			s.mem.Failures[k] = f
		}
	}
}
