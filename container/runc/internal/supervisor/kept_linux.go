//go:build cgo

package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/internal/crilog"
	"github.com/lifepod/lifepod/container/runc/internal/boot"
	"github.com/lifepod/lifepod/container/runc/internal/wire"
	"github.com/lifepod/lifepod/internal/sys"
)

// stateVersion is that of kept. A change that older programs may not overlook
// raises it; a new program can go on from its own version alone, or from older
// ones too.
const stateVersion = 1

// kept is what the program that an upgrade executes goes on with, besides the
// records on disk. Numbers of descriptors are -1 for none; those that there are
// have stayed open across the exec.
type kept struct {
	Version  int        `json:"version"`
	Place    int        `json:"place"` // locked, so that the run directory stays
	Alive    int        `json:"alive"`
	Listener int        `json:"listener"`
	Asker    int        `json:"asker"`    // the connection that asked for the upgrade
	Greeting []int      `json:"greeting"` // connections that have not said hello
	Conns    []keptConn `json:"conns"`
	Ctrs     []keptCtr  `json:"containers"`
}

type keptConn struct {
	Fd      int        `json:"fd"`
	Version int        `json:"version"` // of the protocol that its agent speaks
	Lost    bool       `json:"lost,omitempty"`
	Calls   []keptCall `json:"calls,omitempty"`
}

// keptCall is a call that has begun and waits for the end of an exec, or of an
// attach.
type keptCall struct {
	ID        uint64       `json:"id"`
	Container string       `json:"container"`
	Cancelled bool         `json:"cancelled,omitempty"`
	Exec      *keptExec    `json:"exec,omitempty"`
	Attach    *wire.Attach `json:"attach,omitempty"`
	Files     []int        `json:"files,omitempty"` // that an attach's output is copied to

	files []*os.File
}

type keptExec struct {
	Pid   int `json:"pid"`
	Pidfd int `json:"pidfd"`
}

type keptCtr struct {
	ID        string          `json:"id"`
	State     container.State `json:"state"`
	Child     bool            `json:"child"` // its process is our child, to be reaped
	Attempted bool            `json:"attempted,omitempty"`
	Pending   bool            `json:"pending,omitempty"`
	Pidfd     int             `json:"pidfd"`
	Log       crilog.Kept     `json:"log"`
	keptStreams
}

// descriptors are all that k has, in their order.
func (k *kept) descriptors() []int {
	fds := slices.Concat([]int{k.Place, k.Alive, k.Listener, k.Asker}, k.Greeting)
	for _, c := range k.Conns {
		fds = append(fds, c.Fd)
		for _, call := range c.Calls {
			fds = append(fds, call.Files...)
			if call.Exec != nil {
				fds = append(fds, call.Exec.Pidfd)
			}
		}
	}
	for _, c := range k.Ctrs {
		fds = append(fds, c.descriptors()...)
	}
	slices.Sort(fds)
	return slices.DeleteFunc(fds, func(fd int) bool { return fd < 0 })
}

func (k keptCtr) descriptors() []int {
	fds := []int{k.Pidfd, k.Log.Fd, k.Stdin, k.TTY, k.Stderr}
	if k.Stdout != k.TTY {
		fds = append(fds, k.Stdout)
	}
	return fds
}

var effectTake = sys.NewEffect("container/upgrade-take")

// inherit reads what an earlier program of this process left, from the
// descriptor that variable tells. Descriptors of which that says nothing are
// closed later, as all that were inherited.
func inherit(variable string) (*kept, error) {
	fd, err := strconv.Atoi(variable)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s=%q is no descriptor", boot.StateEnv, variable)
	}
	f := os.NewFile(uintptr(fd), "state")
	defer f.Close()
	var k kept
	if err := effectTake.Do(func() error { return readKept(f, &k) }); err != nil {
		return nil, err
	}
	for _, fd := range k.descriptors() {
		unix.CloseOnExec(fd)
	}
	return &k, nil
}

func readKept(f io.ReaderAt, k *kept) error {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, maxKept))
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	if err := json.Unmarshal(b, k); err != nil {
		return fmt.Errorf("parse state: %w", err)
	}
	if k.Version != stateVersion {
		return fmt.Errorf("the state is of version %d, this program knows version %d", k.Version, stateVersion)
	}
	return k.check()
}

// check refuses a state that no program of this version can have left.
func (k *kept) check() error {
	for _, fd := range []int{k.Place, k.Alive, k.Listener, k.Asker} {
		if fd < 0 {
			return errors.New("the state lacks a descriptor that each has")
		}
	}
	for _, c := range k.Ctrs {
		if !container.ValidID(c.ID) {
			return fmt.Errorf("the state has a container of id %q", c.ID)
		}
	}
	last := -1
	for _, fd := range k.descriptors() {
		if fd == last {
			return fmt.Errorf("the state has descriptor %d twice", fd)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || fd <= unix.Stderr {
			return fmt.Errorf("the state has descriptor %d, which is not open", fd)
		}
		last = fd
	}
	return nil
}

// maxKept bounds the state: some hundred bytes a container.
const maxKept = 64 << 20

// Probe answers the supervisor which asks whether this program can go on from a
// state of its version.
func Probe(version string) {
	answer := boot.Ready
	if version != strconv.Itoa(stateVersion) {
		answer = fmt.Sprintf("it cannot go on from state version %s, but from version %d", version, stateVersion)
	}
	_, _ = unix.Write(boot.ReadyFD, []byte(answer))
}
