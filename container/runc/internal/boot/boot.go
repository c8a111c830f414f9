// Package boot is what an agent and the supervisor that it starts agree on
// before they speak: variables, places, and whether this program can be
// executed again as the supervisor.
package boot

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// Variables of a supervisor's environment. It has no others.
const (
	// ConfigEnv holds the Config. A program with the hook that finds it is a
	// supervisor and nothing else.
	ConfigEnv = "LIFEPOD_SUPERVISOR"
	// DetachEnv makes the new process leave its parent before anything else.
	DetachEnv = "LIFEPOD_SUPERVISOR_DETACH"
	// StateEnv is the descriptor of what an earlier program in this process left,
	// which this one takes the place of.
	StateEnv = "LIFEPOD_SUPERVISOR_STATE"
	// ProbeEnv asks the program, in place of ConfigEnv, whether it can go on from
	// a state of this version. It writes Ready to ReadyFD, or why it cannot.
	ProbeEnv = "LIFEPOD_SUPERVISOR_PROBE"
	// FailpointEnv is an agent's variable that becomes the failpoint of the
	// supervisors which it starts.
	FailpointEnv = "LIFEPOD_SUPERVISOR_FAILPOINT"
)

// ReadyFD is the supervisor's end of a pipe: it writes Ready when it can be
// connected to, or what went wrong.
const ReadyFD = 3

// Words written to ReadyFD. Anything else is an error's text.
const (
	Ready   = "ready"
	Already = "already" // another one runs
)

// Config is what a supervisor must know.
type Config struct {
	Root       string        `json:"root"`
	Run        string        `json:"run"`
	CgroupRoot string        `json:"cgroup"`
	LogDirs    []string      `json:"logs,omitempty"`
	Idle       time.Duration `json:"idle"`
}

// Parse reads what String wrote.
func Parse(s string) (Config, error) {
	var c Config
	if err := json.Unmarshal([]byte(s), &c); err != nil {
		return c, fmt.Errorf("parse %s: %w", ConfigEnv, err)
	}
	if !filepath.IsAbs(c.Root) || !filepath.IsAbs(c.Run) || !filepath.IsAbs(c.CgroupRoot) || c.Idle <= 0 {
		return c, fmt.Errorf("parse %s: root, run and cgroup must be absolute, idle positive", ConfigEnv)
	}
	return c, nil
}

// String is the value of ConfigEnv.
func (c Config) String() string {
	b, err := json.Marshal(c)
	if err != nil {
		panic("boot: " + err.Error()) // strings and a number
	}
	return string(b)
}

// Socket is where the supervisor listens.
func (c Config) Socket() string { return filepath.Join(c.Run, "supervisor.sock") }

// Lock is held by who starts or ends a supervisor.
func (c Config) Lock() string { return filepath.Join(c.Run, "supervisor.lock") }

// Alive is locked as long as a supervisor lives.
func (c Config) Alive() string { return filepath.Join(c.Run, "supervisor.alive") }

// Containers has a directory for each container.
func (c Config) Containers() string { return filepath.Join(c.Run, "containers") }

var errNoHook = errors.New("this program cannot be executed as a supervisor: install lifepod-supervisor " +
	"(go install github.com/lifepod/lifepod/cmd/lifepod-supervisor) beside it, set Options.Supervisor, or add " +
	`import _ "github.com/lifepod/lifepod/container/runc/reexec" to it`)

var hook = errNoHook

// InstallHook says that this program can be executed as the supervisor, or why
// it cannot. Only the hook's init calls it.
func InstallHook(why error) { hook = why }

// Hook returns nil if this program can be executed as the supervisor.
func Hook() error { return hook }
