package probe

import "fmt"

// Result is what a probe's answers add up to.
type Result int

// The results.
const (
	// NoResult is the zero value: nothing is known yet.
	NoResult Result = iota
	Good
	Bad
)

// String is "Success", "Failure" or "UNKNOWN", as in Kubernetes' events.
func (r Result) String() string {
	switch r {
	case NoResult:
		return "UNKNOWN"
	case Good:
		return "Success"
	case Bad:
		return "Failure"
	}
	return fmt.Sprintf("Result(%d)", int(r))
}

// Initial is a probe's result before its first answer: a container is alive
// and not ready, and has neither started nor failed to.
func Initial(k Kind) Result {
	switch k {
	case Liveness:
		return Good
	case Readiness:
		return Bad
	}
	return NoResult
}

// Tracker turns the answers of one probe of one container into its result. It
// is a plain value: Add returns the next one.
type Tracker struct {
	kind             Kind
	success, failure int
	result           Result
	last             Outcome
	run              int
	done             bool
}

// NewTracker begins with the result initial, or with that of [Initial] when it
// is NoResult. Thresholds below 1 mean Kubernetes' defaults: one success, three
// failures. A startup probe that begins Good is done.
func NewTracker(k Kind, success, failure int, initial Result) Tracker {
	if success < 1 {
		success = 1
	}
	if failure < 1 {
		failure = 3
	}
	if initial == NoResult {
		initial = Initial(k)
	}
	return Tracker{kind: k, success: success, failure: failure, result: initial, done: k == Startup && initial != NoResult}
}

// Result is what the answers so far add up to.
func (t Tracker) Result() Result { return t.result }

// Done says that no more answers are wanted from this container: its startup
// is decided, or it was found dead.
func (t Tracker) Done() bool { return t.done }

// Run is the number of equal answers in a row.
func (t Tracker) Run() int { return t.run }

// Add counts one answer and says whether a threshold was reached: only then the
// result was decided (anew, though it may be the same). Unknown does not count.
func (t Tracker) Add(o Outcome) (next Tracker, decided bool) {
	if o == Warning {
		o = Success
	}
	if t.done || o != Success && o != Failure {
		return t, false
	}
	if o != t.last {
		t.last, t.run = o, 0
	}
	t.run++
	if o == Success && t.run < t.success || o == Failure && t.run < t.failure {
		return t, false
	}
	t.result = Good
	if o == Failure {
		t.result = Bad
	}
	t.done = t.kind == Startup || t.kind == Liveness && t.result == Bad
	return t, true
}
