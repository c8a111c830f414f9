// Package container turns an OCI runtime spec into a supervised process: its
// output in a CRI log file, its exit code on disk before anyone is told.
//
// container/runc drives libcontainer inside a supervisor process that outlives
// the program; container/cli drives any OCI runtime binary. Both pass the suite
// in container/containertest, as does the fake there.
package container

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Spec describes one container. It is a value: nothing happens until Create.
type Spec struct {
	// ID matches [a-z0-9-]{1,64} and is unique under one root.
	ID string
	// OCI is the whole runtime spec. Root.Path is an absolute directory that is
	// mounted already, Linux.CgroupsPath an absolute cgroup path (below each v1
	// hierarchy, or below the v2 root), Process.Terminal asks for a tty.
	OCI *specs.Spec
	// Log is the absolute path of the CRI log file, created with its directory's
	// mode 0640 and appended to. Empty discards all output.
	Log string
	// Stdin gives the container an input that Attach can write to; without it,
	// it reads /dev/null. StdinOnce closes it when the first attach ends.
	Stdin, StdinOnce bool
}

// Status is where a container stands.
type Status string

// A container is created (its init waits), running, then stopped.
const (
	Created Status = "created"
	Running Status = "running"
	Stopped Status = "stopped"
)

// UnknownExitCode is the exit code of a container whose end nobody saw.
const UnknownExitCode = 137

// State is what is known of one container. Times are zero until they happen.
type State struct {
	ID         string
	Status     Status
	Pid        int
	CreatedAt  time.Time
	StartedAt  time.Time
	FinishedAt time.Time
	// ExitCode is 128+signal for a container that a signal ended. It is
	// UnknownExitCode, and ExitUnknown true, when nobody saw the end.
	ExitCode    int
	ExitUnknown bool
	// OOMKilled says that the kernel killed a process of this container for
	// memory; it comes from the counters of the container's own cgroup.
	OOMKilled bool
	// LogDropped counts lines lost because the log could not be written.
	LogDropped uint64
}

// EventKind is what happened to a container.
type EventKind string

// An EventLost tells that events were lost (the supervisor died, the reader was
// slow): list again.
const (
	EventCreated EventKind = "created"
	EventStarted EventKind = "started"
	EventStopped EventKind = "stopped"
	EventDeleted EventKind = "deleted"
	EventLost    EventKind = "lost"
)

// Event is a hint to look at a container; the truth is its State.
type Event struct {
	ID   string
	Kind EventKind
}

// Errors of a Runtime, found with errors.Is.
var (
	ErrNotFound = errors.New("container not found")
	ErrExists   = errors.New("container exists already")
	// ErrState is for an operation that the container's status does not allow.
	ErrState = errors.New("container is in the wrong state")
)

// Runtime runs containers. All methods are safe for concurrent use; operations
// on one container are serial. Cancelling ctx abandons the wait, and the
// operation is finished or undone without it.
type Runtime interface {
	// Create prepares the container up to the moment before its program is
	// executed. After an error nothing is left. ErrExists if the id is taken.
	Create(ctx context.Context, s Spec) error
	// Start executes the program. An error of the program itself (not found, not
	// executable, wrong architecture) is a *StartError, and the container is then
	// Stopped with exit code 128.
	Start(ctx context.Context, id string) error
	// Signal sends sig to the container's first process. Signalling one that has
	// stopped is not an error.
	Signal(ctx context.Context, id string, sig os.Signal) error
	// Delete kills what still runs and removes everything but the log. Deleting
	// an unknown id is not an error.
	Delete(ctx context.Context, id string) error
	// Exec runs another process in a running container and returns its exit
	// code when it and its output have ended. It is killed when ctx ends.
	Exec(ctx context.Context, id string, e Exec) (exitCode int, err error)
	// State returns ErrNotFound for an unknown id.
	State(ctx context.Context, id string) (State, error)
	List(ctx context.Context) ([]State, error)
	// Events yields events from the moment the loop starts until ctx ends or the
	// loop breaks. A slow reader gets EventLost, never blocks the runtime.
	Events(ctx context.Context) iter.Seq2[Event, error]
}

// Exec describes a process in a running container. Zero fields take the
// container's own values.
type Exec struct {
	Args []string
	Env  []string // in addition to the container's
	Cwd  string
	User *specs.User
	// TTY gives the process a terminal; Stderr is then unused.
	TTY bool
	// An *os.File is handed to the process itself; anything else is copied. Where
	// Stdout and Stderr are the same, one goroutine at a time writes to it.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Resize         <-chan Size
}

// Size is a terminal's, in characters.
type Size struct{ Width, Height uint16 }

// Preparer is a Runtime that can make ready for a container which will be created
// in a moment: what that would wait for begins now. It returns at once; there is
// nothing to undo when no container comes, and no error that Create would not
// meet again.
type Preparer interface {
	Prepare(ctx context.Context)
}

// Attacher is a Runtime that can join a running container's own streams. The
// call returns when the container ends, stdin and output end, or ctx ends.
type Attacher interface {
	Attach(ctx context.Context, id string, s Streams) error
}

// Streams are the caller's ends of an attach.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Resize         <-chan Size
}

// Updater is a Runtime that can change a running container's limits. Nil fields
// stay as they are.
type Updater interface {
	Update(ctx context.Context, id string, r *specs.LinuxResources) error
}

// LogReopener is a Runtime whose logs can be rotated: move the file away, then
// reopen; no line is lost or split.
type LogReopener interface {
	ReopenLog(ctx context.Context, id string) error
}

// StartError says that the program could not be executed.
type StartError struct {
	ID  string
	Err error
}

func (e *StartError) Error() string { return "start container " + e.ID + ": " + e.Err.Error() }
func (e *StartError) Unwrap() error { return e.Err }

// Reason is Kubernetes' word for it.
func (e *StartError) Reason() string { return "StartError" }
