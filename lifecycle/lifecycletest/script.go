package lifecycletest

import (
	"encoding/json"
	"fmt"
	"time"
)

// Duration is a time.Duration that reads and writes JSON as "1.5s".
type Duration time.Duration

// UnmarshalJSON accepts what time.ParseDuration accepts.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("duration %q: %w", s, err)
	}
	*d = Duration(v)
	return nil
}

// MarshalJSON is time.Duration's String.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// Script says what the instances of one container do. Entry n of each list is
// for instance or call n, from 0; the last one repeats. The zero Script is an
// image that is there and a program that runs until it is stopped.
type Script struct {
	Runs []Run `json:"runs,omitempty"`
	// Create and Start are errors of these calls; "" is success.
	Create []string `json:"create,omitempty"`
	Start  []string `json:"start,omitempty"`
	// Exec answers commands, by their words joined with a space. A command
	// without an entry exits with 0 at once.
	Exec  map[string][]Exec `json:"exec,omitempty"`
	Image Image             `json:"image,omitzero"`
}

// Run is the life of one instance.
type Run struct {
	// For is how long it runs by itself; zero means until it is stopped.
	For  Duration `json:"for,omitempty"`
	Exit int32    `json:"exit,omitempty"`
	// Reason of the exit; empty means Completed or Error by the exit code.
	Reason     string   `json:"reason,omitempty"`
	IgnoreTERM bool     `json:"ignoreTERM,omitempty"`
	TermAfter  Duration `json:"termAfter,omitempty"`
	// TermExit is the exit code after a stop signal; nil means 143.
	TermExit *int32 `json:"termExit,omitempty"`
	// Message goes to the termination log, Log to the container's log.
	Message string `json:"message,omitempty"`
	Log     string `json:"log,omitempty"`
}

// Exec is one answer to a command.
type Exec struct {
	For  Duration `json:"for,omitempty"`
	Exit int      `json:"exit,omitempty"`
	Out  string   `json:"out,omitempty"`
	// Err is an error of the runtime itself.
	Err string `json:"err,omitempty"`
}

// Image is a container's image in the runtime.
type Image struct {
	// Present says whether it is there before the first pull; nil means yes.
	Present *bool  `json:"present,omitempty"`
	Pulls   []Pull `json:"pulls,omitempty"`
}

// Pull is how one pull ends.
type Pull struct {
	For Duration `json:"for,omitempty"`
	Err string   `json:"err,omitempty"`
}

// SandboxScript says what the pod's sandboxes do.
type SandboxScript struct {
	// Run are errors of RunPodSandbox.
	Run []string `json:"run,omitempty"`
	// Die ends sandbox n this long after it was made; its containers end with
	// it, unless Keep.
	Die  []Duration `json:"die,omitempty"`
	Keep bool       `json:"keep,omitempty"`
	// Extra makes a second sandbox this long after the first.
	Extra Duration `json:"extra,omitempty"`
}

// nth is entry n of a list whose last entry repeats.
func nth[T any](list []T, n int) T {
	var zero T
	if len(list) == 0 {
		return zero
	}
	return list[min(n, len(list)-1)]
}
