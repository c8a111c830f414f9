package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container"
)

// Version is the protocol's. Both sides must have the same, but to ask for an
// upgrade.
const Version = 1

// Limits of one frame. A frame that has begun must end within FrameTimeout.
const (
	MaxMessage   = 4 << 20
	MaxFiles     = 4
	FrameTimeout = 10 * time.Second
)

// Operations that an agent asks for.
const (
	OpHello      = "hello"
	OpPrepare    = "prepare" // a container will be created in a moment
	OpCreate     = "create"
	OpStart      = "start"
	OpSignal     = "signal"
	OpDelete     = "delete"
	OpExec       = "exec"
	OpCancel     = "cancel" // ends the call with this id
	OpState      = "state"
	OpList       = "list"
	OpAttach     = "attach"
	OpUpdate     = "update"
	OpCloseStdin = "closestdin" // the attached input has ended
	OpReopen     = "reopen"
	OpAdopt      = "adopt" // carries a pidfd that was opened while the process lived
	// OpUpgrade comes in hello's place, whatever the version, and carries the
	// program that is to go on as this supervisor. OpDone answers it, or OpLog of
	// one that ended on the way, and that ends the connection.
	OpUpgrade = "upgrade"
)

// Messages that the supervisor sends.
const (
	OpProgress = "progress"
	OpDone     = "done"
	OpEvent    = "event"
	OpHold     = "hold"    // carries the descriptors of a container, for as long as it lives
	OpRelease  = "release" // they are needed no more
	OpLog      = "log"
)

// Message is one frame.
type Message struct {
	ID   uint64          `json:"id,omitempty"`
	Op   string          `json:"op"`
	Err  *Error          `json:"err,omitempty"`
	Body json.RawMessage `json:"body,omitempty"`

	Files []*os.File `json:"-"`
}

// Bodies of messages.
type (
	// Hello is the first message of either side.
	Hello struct {
		Version int    `json:"version"`
		Pid     int    `json:"pid,omitempty"`
		Program string `json:"program,omitempty"`
	}
	// Upgrade is the body of OpUpgrade.
	Upgrade struct {
		Program string `json:"program"` // its name, for messages
	}
	// Target names the container of a call that needs no more.
	Target struct {
		ID string `json:"id"`
	}
	// Create is the body of OpCreate.
	Create struct {
		container.Spec
		// Runtime is the path of an OCI runtime program and its global arguments;
		// empty means libcontainer.
		Runtime []string `json:"runtime,omitempty"`
	}
	// Signal is the body of OpSignal.
	Signal struct {
		ID     string `json:"id"`
		Signal int    `json:"signal"`
	}
	// Exec is the body of OpExec. Without a TTY it comes with three descriptors.
	Exec struct {
		ID   string      `json:"id"`
		Args []string    `json:"args"`
		Env  []string    `json:"env,omitempty"`
		Cwd  string      `json:"cwd,omitempty"`
		User *specs.User `json:"user,omitempty"`
		TTY  bool        `json:"tty,omitempty"`
		Size *Size       `json:"size,omitempty"`
	}
	// Size is a terminal's.
	Size struct {
		Width  uint16 `json:"w"`
		Height uint16 `json:"h"`
	}
	// Exit ends an exec.
	Exit struct {
		Code int `json:"code"`
	}
	// Attach is the body of OpAttach. It comes with the descriptors that output
	// is copied to: stdout, and stderr when Stderr says so.
	Attach struct {
		ID     string `json:"id"`
		Stdin  bool   `json:"stdin,omitempty"`
		Stdout bool   `json:"stdout,omitempty"`
		Stderr bool   `json:"stderr,omitempty"`
	}
	// Attached answers an attach; it carries the stdin's writing end or the
	// terminal where there is one.
	Attached struct {
		TTY   bool `json:"tty,omitempty"`
		Stdin bool `json:"stdin,omitempty"`
	}
	// Update is the body of OpUpdate.
	Update struct {
		ID        string                `json:"id"`
		Resources *specs.LinuxResources `json:"resources"`
	}
	// Adopt tells whose pidfd comes with it.
	Adopt struct {
		ID  string `json:"id"`
		Pid int    `json:"pid"`
	}
	// Log is a line of the supervisor for the agent's log.
	Log struct {
		Message string `json:"message"`
		Error   string `json:"error,omitempty"`
	}
)

// Error is an error of a call as it travels.
type Error struct {
	Kind    string `json:"kind,omitempty"`
	ID      string `json:"id,omitempty"`
	Message string `json:"message"`
}

// Kinds of Error.
const (
	kindNotFound = "notfound"
	kindExists   = "exists"
	kindState    = "state"
	kindStart    = "start"
)

func (e *Error) Error() string { return e.Message }

// Unwrap gives the sentinel of package container that the error stands for.
func (e *Error) Unwrap() error {
	switch e.Kind {
	case kindNotFound:
		return container.ErrNotFound
	case kindExists:
		return container.ErrExists
	case kindState:
		return container.ErrState
	}
	return nil
}

// NewError turns an error into one that travels; nil stays nil.
func NewError(err error) *Error {
	if err == nil {
		return nil
	}
	var start *container.StartError
	switch e := (&Error{Message: err.Error()}); {
	case errors.As(err, &start):
		return &Error{Kind: kindStart, ID: start.ID, Message: start.Err.Error()}
	case errors.Is(err, container.ErrNotFound):
		e.Kind = kindNotFound
		return e
	case errors.Is(err, container.ErrExists):
		e.Kind = kindExists
		return e
	case errors.Is(err, container.ErrState):
		e.Kind = kindState
		return e
	default:
		return e
	}
}

// Local turns an error that has travelled into what the caller expects.
func (e *Error) Local() error {
	if e == nil {
		return nil
	}
	if e.Kind == kindStart {
		return &container.StartError{ID: e.ID, Err: errors.New(e.Message)}
	}
	return e
}

// Body makes the body of a message. The types above always marshal.
func Body(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("wire: " + err.Error())
	}
	return b
}

// headerSize is 4 bytes of length and 1 of descriptors.
const headerSize = 5

// encode gives the frame of m without its descriptors.
func encode(m *Message) ([]byte, error) {
	if len(m.Files) > MaxFiles {
		return nil, fmt.Errorf("message %s has %d descriptors, the limit is %d", m.Op, len(m.Files), MaxFiles)
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode message %s: %w", m.Op, err)
	}
	if len(b) > MaxMessage {
		return nil, fmt.Errorf("message %s has %d bytes, the limit is %d", m.Op, len(b), MaxMessage)
	}
	frame := make([]byte, headerSize, headerSize+len(b))
	binary.BigEndian.PutUint32(frame, uint32(len(b)))
	frame[4] = byte(len(m.Files))
	return append(frame, b...), nil
}

// parseHeader gives the length of the message and how many descriptors it has.
func parseHeader(h []byte) (size, files int, err error) {
	size, files = int(binary.BigEndian.Uint32(h)), int(h[4])
	if size < 2 || size > MaxMessage {
		return 0, 0, fmt.Errorf("a frame of %d bytes: the limit is %d", size, MaxMessage)
	}
	if files > MaxFiles {
		return 0, 0, fmt.Errorf("a frame with %d descriptors: the limit is %d", files, MaxFiles)
	}
	return size, files, nil
}

// Decode parses the message of a frame.
func Decode(b []byte) (*Message, error) {
	m := new(Message)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("decode message: %w", err)
	}
	if m.Op == "" {
		return nil, errors.New("a message without op")
	}
	return m, nil
}
