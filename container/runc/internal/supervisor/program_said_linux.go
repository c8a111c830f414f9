//go:build cgo

package supervisor

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// runError is what a runtime program said when it failed.
type runError struct {
	what string
	said string
	err  error
}

func (e *runError) Error() string {
	if e.said == "" {
		return e.what + ": " + e.err.Error()
	}
	return e.what + ": " + e.said
}

func (e *runError) Unwrap() error { return e.err }

// lastError gives the last error of a log in JSON lines.
func lastError(log io.ReaderAt) (text string) {
	b, _ := io.ReadAll(io.NewSectionReader(log, 0, 1<<20))
	for line := range strings.Lines(string(b)) {
		var l struct{ Level, Msg string }
		if json.Unmarshal([]byte(line), &l) == nil && (l.Level == "error" || l.Level == "fatal") {
			text = l.Msg
		}
	}
	return text
}

// reasons are the kernel's words for a program that it cannot execute.
var reasons = []string{"no such file or directory", "permission denied", "exec format error", "is a directory", "not a directory"}

// aboutProgram tells whether the runtime failed because the container's program
// cannot be executed, in runc's words whichever the runtime is.
func aboutProgram(err error, name string) (text string, ok bool) {
	var failed *runError
	if !errors.As(err, &failed) {
		return "", false
	}
	what := "exec: " + strconv.Quote(name) + ": "
	if _, rest, ok := strings.Cut(failed.said, what); ok { // runc
		first, _, _ := strings.Cut(rest, "\n")
		return what + first, true
	}
	said := strings.ToLower(failed.said)
	if !strings.Contains(said, "executable") && !strings.HasPrefix(said, "exec ") {
		return "", false
	}
	for _, r := range reasons { // crun
		switch {
		case !strings.Contains(said, r):
		case !strings.Contains(name, "/") && strings.Contains(said, "not found"):
			return what + "executable file not found in $PATH", true
		default:
			return what + r, true
		}
	}
	return "", false
}
