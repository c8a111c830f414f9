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
	// Starting is the one container start under way.
	Starting *Starting `json:"starting,omitempty"`
	// Started are the instances whose start, postStart included, was completed or
	// given up, by container name: the id of the newest.
	Started map[string]string `json:"started,omitempty"`
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
}

// StartFailure is why a container waits.
type StartFailure struct {
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
	// Tries counts failures in a row of this kind; Until is when to try again.
	Tries int       `json:"tries,omitempty"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero"`
}

// Backoff is one exponential backoff entry.
type Backoff struct {
	// Delay is the pause of the entry, Updated when it last grew.
	Delay   time.Duration `json:"delay"`
	Updated time.Time     `json:"updated"`
	// Cause is the last error, for the message.
	Cause string `json:"cause,omitempty"`
}

// Retry is a pause after a failure.
type Retry struct {
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
}

// Kill is a stop under way.
type Kill struct {
	Name string `json:"name"`
	// Since is when it began and Grace what it was given then, in whole seconds.
	Since time.Time     `json:"since"`
	Grace time.Duration `json:"grace"`
	// HookDone is when the preStop hook ended or was given up; zero while it runs.
	HookDone time.Time `json:"hookDone,omitzero"`
	// Reason is why: empty for the pod's end.
	Reason string `json:"reason,omitempty"`
	// Timeout is what StopContainer was last called with, StoppedAt when.
	Timeout   time.Duration `json:"timeout,omitempty"`
	StoppedAt time.Time     `json:"stoppedAt,omitzero"`
}
