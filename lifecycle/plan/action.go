package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Key names what an action acts on. Two actions with one key never run at once.
type Key string

// Action is something to do. The set is sealed; a type switch over it is whole.
// Actions are comparable values without pointers.
type Action interface {
	Key() Key
	isAction()
}

// ContainerKind is the role of a container in its pod.
type ContainerKind string

// A Sidecar is an init container with restartPolicy Always.
const (
	Init      ContainerKind = "init"
	Sidecar   ContainerKind = "sidecar"
	Regular   ContainerKind = "container"
	Ephemeral ContainerKind = "ephemeral"
)

// EnsureCgroup makes the pod's cgroup. It may be there already, wholly or partly.
type EnsureCgroup struct{}

// SetUpVolumes makes all volumes of the pod ready. It may be run again.
type SetUpVolumes struct{}

// CreateSandbox runs a new sandbox. On failure nothing of it may be left.
type CreateSandbox struct{ Attempt uint32 }

// CheckImage looks whether the image is there and whether this pod may use it
// without a pull. Result.Image answers.
type CheckImage struct{ Container, Image string }

// PullImage pulls the image with the pod's credentials. Result.Image answers. A
// failure's reason is ErrImagePull, RegistryUnavailable or
// SignatureValidationFailed.
type PullImage struct{ Container, Image string }

// StartContainer creates a container in the sandbox and starts it. Its result
// carries the id as soon as the container exists, also when the start failed.
// Reasons of failure: CreateContainerConfigError, CreateContainerError,
// PreCreateHookError, PreStartHookError (nothing is left of these) and
// RunContainerError (a container is left, exited).
type StartContainer struct {
	Name      string
	Kind      ContainerKind
	Attempt   uint32
	SandboxID string
	// ImageRef is what the image check or the pull returned.
	ImageRef string
}

// RunPostStart runs the container's postStart hook. It has no time limit.
type RunPostStart struct{ Name, ContainerID string }

// RunPreStop runs the container's preStop hook for at most Timeout, what is left
// of the grace period; an overrun is a failure like any other.
type RunPreStop struct {
	Name, ContainerID string
	Timeout           time.Duration
}

// StopContainer stops a container: its stop signal, and SIGKILL after Timeout
// (whole seconds, at least 2). A container that is gone or has exited is no
// error. When Cancel names it, the wait is abandoned and nothing else is done: it
// will be called again with a shorter time.
type StopContainer struct {
	Name, ContainerID string
	Timeout           time.Duration
}

// RemoveContainer removes a container that does not run. One that is gone is no
// error. KeepLog leaves its log file.
type RemoveContainer struct {
	Name, ContainerID string
	KeepLog           bool
}

// StopSandbox stops a sandbox: its network goes, what still runs in it is killed.
type StopSandbox struct{ ID string }

// RemoveSandbox removes a stopped sandbox with all containers in it.
type RemoveSandbox struct{ ID string }

// TearDownVolumes undoes SetUpVolumes, also one that ended half way or never ran.
type TearDownVolumes struct{}

// RemoveCgroup removes the pod's cgroup and everything below it.
type RemoveCgroup struct{}

// Key names the pod's cgroup.
func (EnsureCgroup) Key() Key { return "cgroup" }

// Key names the pod's volumes.
func (SetUpVolumes) Key() Key { return "volumes" }

// Key is that of every sandbox creation.
func (CreateSandbox) Key() Key { return "sandbox" }

// Key names the image of one container.
func (a CheckImage) Key() Key { return Key("image/" + a.Container) }

// Key names the image of one container.
func (a PullImage) Key() Key { return Key("image/" + a.Container) }

// Key names the container's start.
func (a StartContainer) Key() Key { return Key("start/" + a.Name) }

// Key names the hook.
func (a RunPostStart) Key() Key { return Key("poststart/" + a.ContainerID) }

// Key names the hook.
func (a RunPreStop) Key() Key { return Key("prestop/" + a.ContainerID) }

// Key names the container instance.
func (a StopContainer) Key() Key { return Key("container/" + a.ContainerID) }

// Key names the container instance.
func (a RemoveContainer) Key() Key { return Key("container/" + a.ContainerID) }

// Key names the sandbox instance.
func (a StopSandbox) Key() Key { return Key("sandbox/" + a.ID) }

// Key names the sandbox instance.
func (a RemoveSandbox) Key() Key { return Key("sandbox/" + a.ID) }

// Key names the pod's volumes.
func (TearDownVolumes) Key() Key { return "volumes" }

// Key names the pod's cgroup.
func (RemoveCgroup) Key() Key { return "cgroup" }

func (EnsureCgroup) isAction()    {}
func (SetUpVolumes) isAction()    {}
func (CreateSandbox) isAction()   {}
func (CheckImage) isAction()      {}
func (PullImage) isAction()       {}
func (StartContainer) isAction()  {}
func (RunPostStart) isAction()    {}
func (RunPreStop) isAction()      {}
func (StopContainer) isAction()   {}
func (RemoveContainer) isAction() {}
func (StopSandbox) isAction()     {}
func (RemoveSandbox) isAction()   {}
func (TearDownVolumes) isAction() {}
func (RemoveCgroup) isAction()    {}

// InFlight is an action that runs.
type InFlight struct {
	Action  Action
	Started time.Time
}

// Result is how an action ended.
type Result struct {
	Action         Action
	Started, Ended time.Time
	// Cancelled says that it ended because Plan.Cancel named it (or the runner
	// shut down). Err is then not looked at.
	Cancelled bool
	// Err is nil after success.
	Err *Failure
	// ID is the sandbox or container that was made, also by an action that failed
	// after it had made one.
	ID string
	// Image answers CheckImage and PullImage.
	Image ImageFacts
}

// ImageFacts answer an image action.
type ImageFacts struct {
	// Ref names the image to create the container from; empty when CheckImage
	// found none.
	Ref string
	// MustPull says that the image is there, but that this pod has not shown
	// that it may use it.
	MustPull bool
	// Size in bytes, and how long the pull itself took without its queue; for the
	// event's text.
	Size         int64
	PullDuration time.Duration
	// MissingSecrets are the pull secrets that a failed pull had to do without.
	MissingSecrets []string
}

// Failure is an error as values. Message is for people and holds no secrets: for
// a container's creation and start the message of the gRPC status, for a pull the
// error's text as the runtime gave it ("RegistryUnavailable: …"), which becomes
// the status's text here, else the error's whole text. CheckImage's reasons are
// InvalidImageName and ImageInspectError (the zero reason means this).
type Failure struct{ Reason, Message string }

// Plan is the decision.
type Plan struct {
	// Actions may all begin now. None has the key of one in flight.
	Actions []Action
	// Cancel names actions in flight to end early. Each still ends with a Result.
	Cancel []Key
	// Status is the pod's whole status. It equals the last one, byte for byte, when
	// nothing changed.
	Status corev1.PodStatus
	// Events to record, once.
	Events []Event
	// Probes are all probes that should run now, sorted; others are stopped.
	Probes []ProbeSpec
	// Memory must be saved before the actions begin, when it differs from the
	// last one.
	Memory Memory
	// WakeAt is when to plan again if nothing happens before; zero means never.
	WakeAt time.Time
	// Done says that the pod was deleted and nothing of it is left.
	Done bool
}

// Event is one event to record about the pod.
type Event struct {
	Type            string // corev1.EventTypeNormal or EventTypeWarning
	Reason, Message string
	// FieldPath is "spec.containers{app}" or alike; empty for the pod itself.
	FieldPath string
}

// ProbeSpec is a probe that should be running.
type ProbeSpec struct {
	ContainerID, Container string
	Kind                   ProbeKind
	Probe                  *corev1.Probe
	// Since is the container's start: the initial delay and the period count
	// from here.
	Since time.Time
}
