package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxOutput is how much of a container's answer is kept.
const maxOutput = 10 << 10

// Exec succeeds when a command in the container exits with 0.
type Exec struct {
	Command []string
	// Timeout of the command. Zero means 1 s.
	Timeout time.Duration
	// Run runs command in the container, ends it after timeout, and returns
	// what it wrote (stdout, then stderr) and its exit code. A command that
	// was ended for its time is an error that is context.DeadlineExceeded.
	Run func(ctx context.Context, command []string, timeout time.Duration) (output []byte, exitCode int, err error)
}

var _ Prober = Exec{}

// Probe runs the command. Another exit code than 0 and the timeout are a
// Failure; the message is the first 10 KiB of output.
func (e Exec) Probe(ctx context.Context) (Outcome, string, error) {
	timeout := orSecond(e.Timeout)
	out, code, err := e.Run(ctx, e.Command, timeout)
	if err != nil {
		switch over := ended(ctx); {
		case over != nil:
			return Unknown, "", over
		case errors.Is(err, context.DeadlineExceeded):
			return Failure, fmt.Sprintf("command timed out: %q timed out after %s", strings.Join(e.Command, " "), timeout), nil
		}
		return Unknown, "", err
	}
	if len(out) > maxOutput {
		out = out[:maxOutput]
	}
	if code != 0 {
		return Failure, string(out), nil
	}
	return Success, string(out), nil
}
