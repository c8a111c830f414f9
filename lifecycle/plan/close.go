package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// close fills in what follows from the decision.
func (s *state) close(status corev1.PodStatus) Plan {
	s.out.Status = status
	s.mem.Status = status.DeepCopy()
	s.out.Probes = s.probes(status)
	s.deadlineWake(status)
	s.out.Done = s.done()
	if s.again {
		s.wake(s.now)
	}
	slices.Sort(s.out.Cancel)
	s.out.Memory = s.mem
	return s.out
}
