package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Input is everything that a decision may depend on. It is read only: Next
// changes nothing in it, and nothing in Plan points into it.
type Input struct {
	// Now is wall time. It may step either way between two plans.
	Now time.Time
	// Pod is the pod as admitted. Of its status only conditions that are not
	// ours (readiness gates), and phase, reason and message before the first
	// plan are looked at.
	Pod *corev1.Pod
	// Deletion is set once the pod shall go away, and then forever.
	Deletion *Deletion
	// Eviction ends the pod as Failed without deleting it: node pressure, a node
	// that shuts down. Once given it is remembered.
	Eviction *Eviction
	// Observed is what is really there. It was taken after every action in
	// Finished had ended.
	Observed Observed
	// Probes are the verdicts, thresholds applied, that the probes named in the
	// last Plan.Probes have reached so far. One that has none yet is absent.
	Probes []ProbeVerdict
	// InFlight are the actions that run now, in any order.
	InFlight []InFlight
	// Finished are the actions that ended since the last plan, in the order in
	// which they ended. Each is given exactly once.
	Finished []Result
	// Memory is the last plan's Memory; its zero value for a new pod.
	Memory Memory
	// Node holds facts of this machine that a status shows.
	Node Node
	// Config holds the few numbers that may be chosen. Its zero value is
	// Kubernetes' default.
	Config Config
}

// Deletion is a request to stop the pod and remove everything of it.
type Deletion struct {
	// At is when it was asked for first. Asking again does not change it.
	At time.Time
	// Grace is how long containers may take, counted from At. A later request
	// may shorten it, also below what is left, never lengthen it. Zero still
	// gives each container 2 s, and runs no preStop hook. (A pod that vanishes
	// from an API server was not asked with zero: a kubelet then gives it the
	// grace of its spec, and so should who translates that.)
	Grace time.Duration
}

// Eviction is a verdict from outside that the pod has failed.
type Eviction struct {
	Reason, Message string
	// Grace overrides the pod's own termination grace period; nil keeps it.
	Grace *time.Duration
	// Condition, if set, is the type DisruptionTarget's reason.
	Condition string
}

// Observed is the runtime's and the node's own account. Its lists are in any
// order.
type Observed struct {
	Sandboxes  []Sandbox
	Containers []Container
	// Cgroup and Volumes say how much of the pod's cgroup and of its volumes
	// exists.
	Cgroup, Volumes Presence
	// Attempts is, by container name, the least attempt that no log file on disk
	// has used; it keeps restart counts rising when the runtime forgot its
	// containers (a reboot). It may be nil.
	Attempts map[string]uint32
}

// Presence says whether something is there.
type Presence string

// The zero value is Absent. Partial is what a crash or an error leaves: it is
// made again before it is used, and removed like the whole.
const (
	Absent  Presence = ""
	Partial Presence = "partial"
	Present Presence = "present"
)

// Sandbox is one sandbox of the pod in the runtime.
type Sandbox struct {
	ID        string
	Attempt   uint32
	Ready     bool
	CreatedAt time.Time
	// IPs, the primary first. Empty for a pod on the host's network.
	IPs []string
	// HostNetwork says that it was made with the host's network.
	HostNetwork bool
	// NetworkReported says that the runtime tells addresses at all: a ready
	// sandbox that then has none is made anew.
	NetworkReported bool
}

// ContainerState is a container's state as CRI has it.
type ContainerState string

// States of a container. An Unknown one may run.
const (
	Created ContainerState = "created"
	Running ContainerState = "running"
	Exited  ContainerState = "exited"
	Unknown ContainerState = "unknown"
)

// Container is one instance of a container in the runtime.
type Container struct {
	ID        string // as the runtime names it
	Runtime   string // "containerd", "lifepod": status says runtime://id
	Name      string
	SandboxID string
	// Attempt is the restart count that it was created with.
	Attempt uint32
	// SpecHash is pod.HashContainer of the spec that it was created from; zero when
	// not known, which counts as unchanged.
	SpecHash uint32
	State    ContainerState

	CreatedAt, StartedAt, FinishedAt time.Time
	ExitCode                         int32
	// Reason is "OOMKilled", "Completed", "Error", "StartError"; Message includes
	// the termination message.
	Reason, Message string

	// Image is the reference, ImageRef what status.imageID shows.
	Image, ImageRef string
	User            *corev1.ContainerUser
	// Resources are what the runtime really applies; nil when it does not say.
	Resources  *corev1.ResourceRequirements
	StopSignal *corev1.Signal
}

// Node holds facts of the machine.
type Node struct {
	// HostIPs, the primary first, at most two.
	HostIPs []string
	// RecursiveReadOnly says that the runtime can mount read-only recursively.
	RecursiveReadOnly bool
}

// Config holds what may be chosen.
type Config struct {
	// CrashBackoffMax bounds the pause between restarts. Zero means 300 s.
	CrashBackoffMax time.Duration
}

// ProbeKind is a kind of probe.
type ProbeKind string

// The kinds of probes, as events spell them.
const (
	Liveness  ProbeKind = "Liveness"
	Readiness ProbeKind = "Readiness"
	Startup   ProbeKind = "Startup"
)

// ProbeVerdict is what a probe of one container instance has established.
type ProbeVerdict struct {
	ContainerID string
	Kind        ProbeKind
	OK          bool
}
