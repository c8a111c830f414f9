//go:build cgo

package supervisor

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc/internal/pidfd"
)

// exit deals with the end of the container's process, once. The exit is on disk
// before the process is reaped, so that a supervisor which dies here leaves
// either a zombie for the next to ask, or the answer.
func (c *ctr) exit() {
	c.s.rest.begin()
	defer c.s.rest.end()
	rec := c.record()
	status, err := pidfd.Ended(c.pidfd, rec.Pid, rec.StartTime)
	x := exitRecord{FinishedAt: time.Now(), ExitCode: pidfd.Code(status)}
	if err != nil {
		x.Unknown, x.ExitCode = true, container.UnknownExitCode
	}
	c.finish(x, c.neverStarted(rec))
}

// neverStarted tells that the process was let go and ended before it executed
// the program.
func (c *ctr) neverStarted(rec record) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	st, err := pidfd.ReadStat(rec.Pid)
	return c.attempted && err == nil && st.Dead() && st.Name == rec.Waiting && !st.Status.Signaled()
}

// finish ends everything that the container has besides its record.
func (c *ctr) finish(x exitRecord, neverStarted bool) {
	c.mu.Lock()
	if c.ending {
		c.mu.Unlock()
		return
	}
	c.ending = true
	c.mu.Unlock()

	if x.OOMKilled = c.oomKilled(); c.sharedPID {
		c.killAll()
	}
	if text := c.io.finish(neverStarted); neverStarted {
		x.ExitCode = startErrorCode
		if text = strings.TrimSpace(text); text == "" {
			text = "the program could not be executed"
		}
		c.mu.Lock()
		c.rec.StartErr = text
		c.mu.Unlock()
	}
	x.LogDropped = c.log.Dropped()
	if err := c.log.Close(); err != nil {
		c.s.warn("close log of "+c.id, err)
	}
	c.stopped(x)
}

// stopped puts the exit on disk, then reaps the process and tells of it.
func (c *ctr) stopped(x exitRecord) {
	if err := writeJSON(c.dir, exitFile, x); err != nil {
		c.s.warn("keep the exit of "+c.id, err)
	}
	c.reap()
	c.mu.Lock()
	c.st = x.apply(c.st)
	c.mu.Unlock()
	close(c.exited)
	c.s.rest.add()
	c.s.wg.Go(func() {
		defer c.s.rest.end()
		c.telling.Lock()
		defer c.telling.Unlock()
		c.s.publish(container.Event{ID: c.id, Kind: container.EventStopped})
		c.s.release(c)
		close(c.told)
	})
}

func (x exitRecord) apply(st container.State) container.State {
	st.Status, st.Pid, st.FinishedAt = container.Stopped, 0, x.FinishedAt
	st.ExitCode, st.ExitUnknown = x.ExitCode, x.Unknown
	st.OOMKilled, st.LogDropped = x.OOMKilled, x.LogDropped
	return st
}

// reap takes the dead process away.
func (c *ctr) reap() {
	c.mu.Lock()
	stop := c.stopWatch
	c.stopWatch = nil
	c.mu.Unlock()
	if stop != nil {
		stop()
	}
	if c.init != nil {
		c.init.wait()
		c.s.reap.release(c.record().Pid)
	}
}

// killAll kills every process in the container's cgroup.
func (c *ctr) killAll() {
	for range 100 {
		pids, err := c.cgroup.GetAllPids()
		if err != nil || len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
