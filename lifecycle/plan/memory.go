package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Memory is what plan must know next time and cannot observe. It is a plain
// value for encoding/json; losing it costs accuracy (backoffs begin anew, restart
// counts come from what the runtime still has), never safety.
type Memory struct {
	// Status is the last one decided.
	Status *corev1.PodStatus `json:"status,omitempty"`
	// Stage never goes back.
	Stage Stage `json:"stage,omitempty"`
	// Verdict is why the pod was ended from outside its containers: a deadline, an
	// eviction.
	Verdict *Verdict `json:"verdict,omitempty"`
	// Phase, Reason and Message are what the containers amount to. A terminal
	// phase is held back from Status until nothing runs.
	Phase   corev1.PodPhase `json:"phase,omitempty"`
	Reason  string          `json:"reason,omitempty"`
	Message string          `json:"message,omitempty"`
	// Final says that Status is the last one and changes no more.
	Final bool `json:"final,omitempty"`
	// Starting is the one container start under way.
	Starting *Starting `json:"starting,omitempty"`
	// Attempts are the attempts that the next instances get, by container name.
	Attempts map[string]uint32 `json:"attempts,omitempty"`
	// Restart are instances that we stopped in order to start them again, by
	// container name: the restart policy is not asked.
	Restart map[string]Forced `json:"restart,omitempty"`
	// Ended is when instances ended, by id, on our clock.
	Ended map[string]time.Time `json:"ended,omitempty"`
	// Failures are the errors that keep containers waiting, by container name.
	Failures map[string]StartFailure `json:"failures,omitempty"`
	// Crash and Pull are backoff entries; see their files for the keys.
	Crash map[string]Backoff `json:"crash,omitempty"`
	Pull  map[string]Backoff `json:"pull,omitempty"`
	// Retry are the pauses after failures of the pod itself (sandbox, volumes,
	// cgroup, removals), by action key.
	Retry map[string]Retry `json:"retry,omitempty"`
	// Kills are the stops under way, by container id.
	Kills map[string]Kill `json:"kills,omitempty"`
	// Changed is the sandbox whose replacement was announced, Stopped are those
	// that StopSandbox has stopped.
	Changed string   `json:"changed,omitempty"`
	Stopped []string `json:"stopped,omitempty"`
	// IPs are the pod's addresses, kept while its sandbox is stopped.
	IPs []string `json:"ips,omitempty"`
}

// Stage is how far the pod's life has come.
type Stage string

// The stages: the zero value is a pod that is kept running; Terminating stops all
// that runs; Terminated has nothing running and gives up volumes and cgroup.
const (
	Syncing     Stage = ""
	Terminating Stage = "terminating"
	Terminated  Stage = "terminated"
)

// Verdict ends a pod as Failed.
type Verdict struct {
	Reason    string         `json:"reason,omitempty"`
	Message   string         `json:"message,omitempty"`
	Grace     *time.Duration `json:"grace,omitempty"`
	Condition string         `json:"condition,omitempty"`
}

// StartStep is how far the start of a container has come.
type StartStep string

// The steps in their order.
const (
	StepImage     StartStep = "image"
	StepPull      StartStep = "pull"
	StepStart     StartStep = "start"
	StepPostStart StartStep = "postStart"
)

// Starting is a container start under way.
type Starting struct {
	Name        string        `json:"name"`
	Kind        ContainerKind `json:"kind"`
	Attempt     uint32        `json:"attempt"`
	Step        StartStep     `json:"step"`
	ImageRef    string        `json:"imageRef,omitempty"`
	ContainerID string        `json:"containerID,omitempty"`
	// Hooked says that the postStart hook was begun.
	Hooked bool `json:"hooked,omitempty"`
}

// Forced is an instance that shall be started again whatever its exit code. The
// crash backoff looks at it only once Counted.
type Forced struct {
	ID      string `json:"id"`
	Counted bool   `json:"counted,omitempty"`
}

// StartFailure is why a container waits.
type StartFailure struct {
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
	// Tries counts failures in a row; Until is when to try again, zero where
	// another rule says it.
	Tries int       `json:"tries,omitempty"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero"`
}

// Backoff is one exponential backoff entry.
type Backoff struct {
	BackoffEntry
	// For is the container instance whose end made it grow; Cause the last error
	// of a pull, as "reason: message".
	For   string `json:"for,omitempty"`
	Cause string `json:"cause,omitempty"`
}

// Retry is a pause after a failure.
type Retry struct {
	Until time.Time     `json:"until"`
	Delay time.Duration `json:"delay"`
}

// KillReason is why a container is stopped; it decides about the grace period.
type KillReason string

// The zero value is the end of the pod or of its sandbox.
const (
	KillPodEnd     KillReason = ""
	KillChanged    KillReason = "changed"
	KillLiveness   KillReason = "liveness"
	KillStartup    KillReason = "startup"
	KillUnknown    KillReason = "unknown"
	KillPostStart  KillReason = "postStart"
	KillRestartAll KillReason = "restartAll"
)

// Kill is a stop under way.
type Kill struct {
	Name string `json:"name"`
	// Since is when it began and Grace what it was given then, in whole seconds.
	Since time.Time     `json:"since"`
	Grace time.Duration `json:"grace"`
	// HookDone is when the preStop hook ended or was given up; zero while it runs.
	HookDone time.Time `json:"hookDone,omitzero"`
	// Why is why. Restart says that the container shall be started again.
	Why     KillReason `json:"why,omitempty"`
	Restart bool       `json:"restart,omitempty"`
	// StopAt is when StopContainer was last called, Timeout with what. Stopped says
	// that it succeeded.
	StopAt  time.Time     `json:"stopAt,omitzero"`
	Timeout time.Duration `json:"timeout,omitempty"`
	Stopped bool          `json:"stopped,omitempty"`
}
