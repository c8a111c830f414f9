package plan

import "fmt"

// computeRegular decides about the regular containers and counts those to keep.
func (s *state) computeRegular(a *actions) (kept int) {
	for i := range s.pod.Spec.Containers {
		c := &s.pod.Spec.Containers[i]
		inst := s.latest(c.Name)
		if inst == nil || inst.State != Running {
			if s.shouldRun(c) {
				a.starts = append(a.starts, start{c.Name, Regular})
				if inst != nil && inst.State == Unknown {
					a.kills = append(a.kills, unknown("Container", *inst))
				}
			}
			continue
		}
		k := kill{inst: *inst, restart: restartable(&s.pod.Spec, c)}
		switch {
		case changed(c, inst):
			k.message, k.why, k.restart = fmt.Sprintf("Container %s definition changed", c.Name), KillChanged, true
		case s.verdict(*inst, Liveness) == probeFailed:
			k.message, k.why = fmt.Sprintf("Container %s failed liveness probe", c.Name), KillLiveness
		case s.verdict(*inst, Startup) == probeFailed:
			k.message, k.why = fmt.Sprintf("Container %s failed startup probe", c.Name), KillStartup
		default:
			kept++
			continue
		}
		if k.restart {
			k.message += ", will be restarted"
			a.starts = append(a.starts, start{c.Name, Regular})
		}
		a.kills = append(a.kills, k)
	}
	return kept
}

// unknown is the kill of an instance of which nobody knows whether it runs: there
// must never be two.
func unknown(what string, inst Container) kill {
	return kill{inst: inst, why: KillUnknown, restart: true,
		message: fmt.Sprintf("%s is in %q state, try killing it before restart", what, inst.State)}
}
