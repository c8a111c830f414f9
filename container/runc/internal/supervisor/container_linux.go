//go:build cgo

package supervisor

import (
	"sync"

	"github.com/opencontainers/cgroups"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/internal/crilog"
)

// ctr is one container.
type ctr struct {
	s         *Supervisor
	id, dir   string
	process   *specs.Process // of the spec: what an exec takes its defaults from
	stdinOnce bool
	sharedPID bool

	// op is held by an operation. exit does not take it: operations wait for exits.
	op sync.Mutex

	// Set before the container is in the table, or under op.
	box    box
	init   child // nil unless the process is our child
	cgroup cgroups.Manager
	io     *streams
	log    *crilog.File
	pidfd  int

	exited  chan struct{} // closed when the exit is on disk and in st
	told    chan struct{} // closed when everyone has been told of it
	telling sync.Mutex    // orders what is told of start and exit

	mu        sync.Mutex
	rec       record
	st        container.State
	attempted bool // start has let the process go on to its program
	pending   bool // it ended while nobody watched; whoever held a pidfd may know how
	settling  bool // how it ended is being found out
	ending    bool // its exit is being dealt with
	stopWatch func()
}

func (c *ctr) state() container.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.st
	if st.Status != container.Stopped && c.log != nil {
		st.LogDropped = c.log.Dropped()
		st.OOMKilled = c.oomKilled()
	}
	return st
}

// oomKilled asks the container's own cgroup.
func (c *ctr) oomKilled() bool {
	if c.cgroup == nil {
		return false
	}
	n, err := c.cgroup.OOMKillCount()
	return err == nil && n > 0
}

// save writes the record after change.
func (c *ctr) save(change func(*record)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.rec
	change(&r)
	if err := writeJSON(c.dir, recordFile, r); err != nil {
		return err
	}
	c.rec = r
	return nil
}

func (c *ctr) hasExited() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}
