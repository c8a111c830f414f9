//go:build cgo

package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/internal/crilog"
	"github.com/lifepod/lifepod/container/runc/internal/pidfd"
)

// settleTime is how long a new supervisor waits for an agent that knows how a
// container ended while there was none.
const settleTime = time.Second

// takeOver takes up what earlier supervisors left: living containers go on,
// dead ones get an exit, half-made and half-removed ones are removed. Those in k
// go on as they were; k is nil unless an earlier program of this process ran.
func (s *Supervisor) takeOver(k *kept) error {
	if k != nil {
		if err := effectGoOn.Do(func() error { return s.goOn(k) }); err != nil {
			return err
		}
	}
	dirs, err := os.ReadDir(s.cfg.Containers())
	if err != nil {
		return err
	}
	for _, d := range dirs {
		if _, err := s.get(d.Name()); err == nil || !container.ValidID(d.Name()) {
			continue
		}
		if err := s.takeUp(d.Name()); err != nil {
			return fmt.Errorf("take up container %s: %w", d.Name(), err)
		}
	}
	return nil
}

func (s *Supervisor) takeUp(id string) error {
	dir := filepath.Join(s.cfg.Containers(), id)
	st, err := load(dir)
	if err != nil || st.spec.Validate() != nil || st.spec.ID != id {
		// The record is written before anything is made that needs removal.
		return os.RemoveAll(dir)
	}
	c := s.newCtr(st.spec)
	c.rec = st.rec
	c.st.CreatedAt, c.st.StartedAt, c.st.Pid = st.rec.CreatedAt, st.rec.StartedAt, st.rec.Pid
	if err := c.newBox(st.rec.Runtime, st.spec.OCI, true); err != nil {
		return err
	}
	s.reserve(c)
	if st.rec.Phase == phaseCreating || st.rec.Phase == phaseDeleting {
		c.rec.Phase = phaseDeleting
		c.adoptForRemoval(st)
		return c.remove()
	}
	if st.exit != nil {
		c.st = st.exit.apply(c.st)
		close(c.exited)
		close(c.told)
		return nil
	}
	if st.rec.StartErr != "" {
		c.log, err = crilog.Open("")
		return err
	}
	return c.resume(st)
}

// adoptForRemoval finds the process of a container that is to be removed.
func (c *ctr) adoptForRemoval(st stored) {
	c.log, _ = crilog.Open("")
	if st.exit != nil {
		close(c.exited)
		close(c.told)
		return
	}
	c.killAll() // its cgroup was made for it alone
}

// resume goes on with a container that lived when it was last heard of.
func (c *ctr) resume(st stored) error {
	var err error
	if c.log, err = crilog.Open(st.spec.Log); err != nil {
		c.s.warn("open log of "+c.id+" again: its output is dropped", err)
		if c.log, err = crilog.Open(""); err != nil {
			return err
		}
	}
	if !c.isTTY() {
		if err := c.io.outputs(c.dir, c.log); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if st.spec.Stdin && !st.spec.StdinOnce {
			c.io.openStdin(c.dir)
		}
	}
	c.killExecs()
	c.killStrays()
	if st.rec.Boot == c.s.boot {
		c.adoptChild(st.rec.Pid, st.rec.StartTime)
		c.pidfd, err = pidfd.Open(st.rec.Pid, st.rec.StartTime)
	}
	if st.rec.Boot != c.s.boot || err != nil {
		c.pidfd = -1
		c.settleSoon()
		return nil //nolint:nilerr // its end was seen; by whom is no error
	}
	return c.resumeLiving()
}

// adoptChild sees to it that pid is waited for here if it is our child, as that
// of an earlier program in this process is.
func (c *ctr) adoptChild(pid int, startTime uint64) {
	st, err := pidfd.ReadStat(pid)
	if err == nil && st.Parent == os.Getpid() && st.StartTime == startTime {
		c.init = pidChild(pid)
		c.s.reap.own(pid)
	}
}

// resumeLiving goes on with a process that lives. A start that was under way is
// brought to its end.
func (c *ctr) resumeLiving() error {
	stat, err := pidfd.ReadStat(c.rec.Pid)
	unstarted := err == nil && stat.Name == c.rec.Waiting
	if unstarted && c.rec.Phase == phaseStarting {
		c.attempted = true
		c.s.rest.add()
		c.s.wg.Go(func() {
			defer c.s.rest.end()
			c.op.Lock()
			defer c.op.Unlock()
			if err := c.startProgram(); err != nil {
				c.s.warn("finish the start of "+c.id, err)
			}
		})
	}
	if !unstarted {
		c.st.Status = container.Running
		if c.rec.StartedAt.IsZero() { // it was started, and its start not noted
			c.st.StartedAt = time.Now()
			if err := c.save(func(r *record) { r.Phase, r.StartedAt = phaseRunning, c.st.StartedAt }); err != nil {
				return err
			}
		}
		if err := c.watchOutput(); err != nil {
			return err
		}
	}
	return c.watchProcess()
}

// settleSoon waits a while for an agent that knows how the container ended.
func (c *ctr) settleSoon() {
	c.pending = true
	c.s.wg.Go(func() {
		select {
		case <-c.exited:
		case <-time.After(settleTime):
			c.s.rest.begin()
			defer c.s.rest.end()
			c.settle(nil, 0)
		}
	})
}

// settle gives a container that ended unseen its exit: from a pidfd that was
// opened while it lived, or unknown without one. Others are left alone.
func (c *ctr) settle(fd *int, pid int) {
	c.mu.Lock()
	rec, pending := c.rec, c.pending
	if !pending || c.settling || fd != nil && pid != rec.Pid {
		c.mu.Unlock()
		return
	}
	c.settling = true
	c.mu.Unlock()
	x := exitRecord{FinishedAt: time.Now(), ExitCode: container.UnknownExitCode, Unknown: true}
	if fd != nil {
		if status, err := pidfd.Ended(*fd, rec.Pid, rec.StartTime); err == nil {
			x.ExitCode, x.Unknown = pidfd.Code(status), false
		}
	}
	c.finish(x, false)
}
