//go:build cgo

package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc/internal/pidfd"
	"github.com/lifepod/lifepod/internal/sys"
)

var (
	effectSignal  = sys.NewEffect("container/signal")
	effectKill    = sys.NewEffect("container/kill")
	effectDestroy = sys.NewEffect("container/destroy")
	effectRemove  = sys.NewEffect("container/remove")
)

// killTimeout is how long killed processes may take to be gone: one that waits
// for a dead disk can take forever.
const killTimeout = 20 * time.Second

// delete removes a container. Deleting an unknown one is not an error.
func (s *Supervisor) delete(id string) error {
	c, err := s.get(id)
	if err != nil {
		return nil
	}
	c.op.Lock()
	defer c.op.Unlock()
	if !s.has(c) {
		return nil
	}
	err = c.save(func(r *record) { r.Phase = phaseDeleting })
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // an earlier try may have come as far as that
		return fmt.Errorf("delete container %s: %w", id, err)
	}
	if err := c.remove(); err != nil {
		return fmt.Errorf("delete container %s: %w", id, err)
	}
	s.publish(container.Event{ID: id, Kind: container.EventDeleted})
	return nil
}

// remove undoes create, however far that came, and takes c out of the table. It
// is idempotent.
func (c *ctr) remove() error {
	if err := c.kill(); err != nil {
		return err
	}
	c.io.finish(false)
	if c.log != nil {
		_ = c.log.Close()
	}
	if err := c.destroy(); err != nil {
		return err
	}
	if err := effectRemove.Do(func() error { return os.RemoveAll(c.dir) }); err != nil {
		return err
	}
	c.closePidfd()
	c.s.forget(c)
	return nil
}

// kill ends the container's process, everything else in its cgroup with it, and
// waits until the exit has been dealt with.
func (c *ctr) kill() error {
	if !c.hasExited() {
		if err := effectKill.Do(func() error { return c.signal(unix.SIGKILL) }); err != nil {
			return err
		}
		c.thaw()
		if err := c.awaitExit(); err != nil {
			return err
		}
	}
	if c.cgroup != nil && c.cgroup.Exists() {
		c.killAll()
	}
	return nil
}

func (c *ctr) awaitExit() error {
	c.settle(nil, 0)
	if !c.watched() { // create came to its end before it watched the process
		if c.init != nil {
			c.init.kill()
			c.init.wait()
			c.s.reap.release(c.record().Pid)
		}
		return nil
	}
	select {
	case <-c.told:
		return nil
	case <-time.After(killTimeout):
		return fmt.Errorf("its process %d is still there %v after SIGKILL", c.record().Pid, killTimeout)
	}
}

// signal sends sig to the container's process, if there is one.
func (c *ctr) signal(sig unix.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pidfd < 0 {
		return nil
	}
	return pidfd.Signal(c.pidfd, sig)
}

func (c *ctr) closePidfd() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pidfd >= 0 {
		unix.Close(c.pidfd)
		c.pidfd = -1
	}
}

func (c *ctr) watched() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopWatch != nil || c.ending || c.pending
}

// destroy removes what the box made: cgroups and records.
func (c *ctr) destroy() error {
	if c.box == nil {
		return nil
	}
	return effectDestroy.Do(c.box.destroy)
}
