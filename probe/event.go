package probe

import (
	"fmt"
	"time"
)

// Event is one answered probe.
type Event struct {
	// ID is the container, Kind its probe.
	ID   string
	Kind Kind
	// At is when the probe began, Took how long it ran.
	At   time.Time
	Took time.Duration
	// Outcome and Message are the answer; Err is why there is none.
	Outcome Outcome
	Message string
	Err     error
	// Result is what the answers add up to now. Decided says that this answer
	// reached a threshold, Changed that it made the result another.
	Result           Result
	Decided, Changed bool
	// Run is the number of equal answers in a row, this one included.
	Run int
}

// Report is the Kubernetes event that tells of the answer: its reason and its
// message. Both are empty for a plain success, of which nobody is told.
func (e Event) Report() (reason, message string) {
	switch {
	case e.Err != nil:
		return "Unhealthy", fmt.Sprintf("%s probe errored and resulted in %s state: %s", e.Kind, e.Outcome, e.Err)
	case e.Outcome == Warning:
		return "ProbeWarning", fmt.Sprintf("%s probe warning: %s", e.Kind, e.Message)
	case e.Outcome == Failure:
		return "Unhealthy", fmt.Sprintf("%s probe failed: %s", e.Kind, e.Message)
	}
	return "", ""
}
