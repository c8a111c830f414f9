package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Messages of the condition PodReadyToStartContainers.
const (
	noSandbox        = "no pod sandbox exists"
	manySandboxes    = "multiple pod sandboxes are ready and need to be reconciled"
	sandboxNotReady  = "pod sandbox is not ready"
	sandboxNetwork   = "network namespace mode changed and sandbox needs to be recreated"
	sandboxNoAddress = "pod sandbox has no IP address"
)

// sandboxChange says whether the pod needs another sandbox, and why.
type sandboxChange struct {
	needed  bool
	attempt uint32
	// old is the sandbox to be replaced; empty for the first one.
	old     string
	message string
}

// changeOfSandbox looks at the pod's sandboxes, newest first.
func changeOfSandbox(pod *corev1.Pod, boxes []Sandbox) sandboxChange {
	if len(boxes) == 0 {
		return sandboxChange{needed: true, message: noSandbox}
	}
	newest, ready := boxes[0], 0
	for _, b := range boxes {
		if b.Ready {
			ready++
		}
	}
	change := sandboxChange{needed: true, attempt: newest.Attempt + 1, old: newest.ID}
	switch {
	case ready > 1:
		change.message = manySandboxes
	case !newest.Ready:
		change.message = sandboxNotReady
	case newest.HostNetwork != pod.Spec.HostNetwork:
		change.old, change.message = "", sandboxNetwork
	case !pod.Spec.HostNetwork && newest.NetworkReported && len(newest.IPs) == 0:
		change.message = sandboxNoAddress
	default:
		return sandboxChange{attempt: newest.Attempt, old: newest.ID}
	}
	return change
}

// stopSandboxes stops each sandbox that was not stopped by us before, ready or
// not: a dead one may still hold an address. It reports whether all are stopped.
func (s *state) stopSandboxes() bool {
	for _, b := range s.boxes {
		if b.Ready || !slices.Contains(s.mem.Stopped, b.ID) {
			s.do(StopSandbox{ID: b.ID})
		}
	}
	return s.sandboxesStopped()
}

func (s *state) sandboxesStopped() bool {
	return !slices.ContainsFunc(s.boxes, func(b Sandbox) bool { return b.Ready || !slices.Contains(s.mem.Stopped, b.ID) })
}

// removeOldSandboxes removes sandboxes that were replaced, once no container
// that is kept for its status lies in them.
func (s *state) removeOldSandboxes() {
	for i, b := range s.boxes {
		if i == 0 || b.Ready || !slices.Contains(s.mem.Stopped, b.ID) || s.inhabited(b.ID) {
			continue
		}
		s.do(RemoveSandbox{ID: b.ID})
	}
}

func (s *state) inhabited(sandbox string) bool {
	return slices.ContainsFunc(s.in.Observed.Containers, func(c Container) bool { return c.SandboxID == sandbox })
}
