// Package probe asks containers whether they started, live and are ready:
// probes by http, tcp, exec and (in package grpcprobe) grpc, the thresholds that
// turn single answers into a result, and one scheduler for all probes of a node.
//
//   - [Prober] asks once. [HTTP], [TCP], [Exec] and [Func] are probers.
//   - [Tracker] counts answers against thresholds. It is a value without a clock.
//   - [Scheduler] runs the probes of many containers when they are due.
//
// Rules and texts are those of Kubernetes 1.37, but for the time: a probe counts
// from its container's start.
package probe

import (
	"context"
	"fmt"
)

// Outcome is the answer to one probe.
type Outcome string

// The outcomes. Warning counts as success and carries a message for people.
const (
	Success Outcome = "success"
	Warning Outcome = "warning"
	Failure Outcome = "failure"
	// Unknown is no answer: the probe itself went wrong. It always comes with
	// an error and does not count.
	Unknown Outcome = "unknown"
)

// Prober asks once.
type Prober interface {
	// Probe returns the outcome and a message for people: why it failed, or
	// what the container said. It returns when ctx ends, and by itself after
	// its own timeout, which is a Failure. An error means that there is no
	// answer (Unknown). It may be called again, but not concurrently.
	Probe(ctx context.Context) (Outcome, string, error)
}

// Func is a function as a Prober.
type Func func(ctx context.Context) (Outcome, string, error)

// Probe calls f.
func (f Func) Probe(ctx context.Context) (Outcome, string, error) { return f(ctx) }

// tries is how often one probe is attempted while the prober itself errs.
const tries = 3

// Run asks p, up to three times as long as it errs. It stops early when ctx
// ends. With an error the outcome says only what the error came with.
func Run(ctx context.Context, p Prober) (out Outcome, message string, err error) {
	for range tries {
		out, message, err = p.Probe(ctx)
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil && out == "" {
		out = Unknown
	}
	return out, message, err
}

// Kind is what a probe decides.
type Kind int

// The kinds of probes.
const (
	// Liveness: failing, the container is killed.
	Liveness Kind = iota
	// Readiness: failing, the container gets no traffic.
	Readiness
	// Startup: until it succeeds, the other two wait; failing, the container
	// is killed.
	Startup
)

// String is "Liveness", "Readiness" or "Startup".
func (k Kind) String() string {
	switch k {
	case Liveness:
		return "Liveness"
	case Readiness:
		return "Readiness"
	case Startup:
		return "Startup"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}
