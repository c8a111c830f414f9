//go:build cgo

package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc/internal/pidfd"
	"github.com/lifepod/lifepod/internal/sys"
)

var effectStart = sys.NewEffect("container/start")

// start lets a created container execute its program, and returns when it does.
func (s *Supervisor) start(id string) error {
	c, err := s.get(id)
	if err != nil {
		return err
	}
	c.op.Lock()
	defer c.op.Unlock()
	if st := c.state().Status; st != container.Created {
		return fmt.Errorf("start container %s: it is %s: %w", id, st, container.ErrState)
	}
	if text := c.record().StartErr; text != "" {
		c.stopped(exitRecord{FinishedAt: time.Now(), ExitCode: startErrorCode})
		return &container.StartError{ID: id, Err: errors.New(text)}
	}
	if err := c.save(func(r *record) { r.Phase = phaseStarting }); err != nil {
		return fmt.Errorf("start container %s: %w", id, err)
	}
	return c.startProgram()
}

// startProgram is start for a container whose record says that it is starting.
func (c *ctr) startProgram() error {
	c.telling.Lock() // started is told before stopped
	defer c.telling.Unlock()
	begin := time.Now()
	done, err := c.letGo()
	if err != nil {
		return fmt.Errorf("start container %s: %w", c.id, err)
	}
	defer done()
	if err := c.awaitProgram(); err != nil {
		return &container.StartError{ID: c.id, Err: err}
	}
	return c.started(begin)
}

// startErrorCode is the exit code of a container whose program could not be
// executed.
const startErrorCode = 128

func (c *ctr) record() record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rec
}

func (c *ctr) started(at time.Time) error {
	c.mu.Lock()
	c.st.StartedAt = at
	if c.st.Status == container.Created {
		c.st.Status = container.Running
	}
	c.mu.Unlock()
	if err := c.save(func(r *record) { r.Phase, r.StartedAt = phaseRunning, at }); err != nil {
		return err
	}
	c.s.publish(container.Event{ID: c.id, Kind: container.EventStarted})
	return nil
}

func (c *ctr) letGo() (done func(), err error) {
	c.mu.Lock()
	again := c.attempted
	c.attempted = true
	c.mu.Unlock()
	err = effectStart.Do(func() (err error) {
		done, err = c.box.letGo()
		return err
	})
	if err != nil && done != nil {
		done()
	}
	if again && errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil // the start that failed had let it go
	}
	return done, err
}

const startTimeout = 30 * time.Second

// awaitProgram returns when the process executes its program: the kernel then
// gives it the program's name. Nothing tells of that moment, which is about a
// millisecond away, so it is looked for.
func (c *ctr) awaitProgram() error {
	rec := c.record()
	for wait, end := 30*time.Microsecond, time.Now().Add(startTimeout); ; wait = min(2*wait, 5*time.Millisecond) {
		st, err := pidfd.ReadStat(rec.Pid)
		if err == nil && st.Name != rec.Waiting || time.Now().After(end) {
			break
		}
		if err != nil || st.Dead() {
			<-c.exited
			return c.notStarted()
		}
		time.Sleep(wait)
	}
	return c.watchOutput()
}

// notStarted gives the error of a process that ended before its program.
func (c *ctr) notStarted() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rec.StartErr == "" {
		return nil // it was the program, and quick
	}
	return errors.New(c.rec.StartErr)
}

// watchOutput begins to carry the container's output, unless it has ended and
// all is carried already.
func (c *ctr) watchOutput() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending {
		return nil
	}
	return c.io.watch(c.s.poll)
}
