//go:build cgo

package supervisor

import (
	"os"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// box makes and changes the processes of one container: by libcontainer, or by
// an OCI runtime program. Only start of other processes than the first may be
// called beside anything else.
type box interface {
	// start makes a process with the given streams, or with a terminal where p
	// asks for that, of which it returns the master, else -1. The first one waits before
	// its program. An error of the program itself is a *programError.
	start(p *specs.Process, first bool, files [3]*os.File) (k child, master int, err error)
	// letGo has the first process go on to its program; done is called when it
	// did, or will not.
	letGo() (done func(), err error)
	// update changes what r has.
	update(r *specs.LinuxResources) error
	// destroy removes the runtime's records and the container's cgroups. Doing
	// it twice, or before there is anything, is harmless.
	destroy() error
}

// child is a process that a box started, and that we are to reap.
type child interface {
	pid() int
	kill()
	wait()
}

// programError says that the program cannot be executed.
type programError struct{ text string }

func (e *programError) Error() string { return e.text }

// newBox gives c its box and what it knows of its cgroup. With old, an earlier
// supervisor may have made something of it.
func (c *ctr) newBox(runtime []string, spec *specs.Spec, old bool) (err error) {
	if len(runtime) > 0 {
		c.box, c.cgroup, err = newProgramBox(c, runtime, spec)
		return err
	}
	c.box, c.cgroup, err = newLibBox(c, spec, old)
	return err
}

// thaw lets a container go on that someone has frozen: it could not die.
func (c *ctr) thaw() {
	if c.cgroup == nil {
		return
	}
	if state, err := c.cgroup.GetFreezerState(); err == nil && state == cgroups.Frozen {
		_ = c.cgroup.Freeze(cgroups.Thawed)
	}
}
