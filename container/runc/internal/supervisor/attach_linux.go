//go:build cgo

package supervisor

import (
	"errors"
	"fmt"
	"os"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/internal/crilog"
	"github.com/lifepod/lifepod/container/runc/internal/wire"
)

// attach copies a running container's output to the call's descriptors, hands
// over its input, and returns when the container or the call ends.
func (s *Supervisor) attach(call *call, a wire.Attach, files []*os.File) error {
	c, err := s.get(a.ID)
	if err != nil {
		closeFiles(files)
		return err
	}
	if st := c.state().Status; st == container.Stopped {
		closeFiles(files)
		return fmt.Errorf("attach to container %s: it is %s: %w", a.ID, st, container.ErrState)
	}
	stop, err := c.tap(a, files)
	if err != nil {
		closeFiles(files)
		return err
	}
	if err := c.sendInput(call, a); err != nil {
		c.detach(a, stop)
		return err
	}
	return c.attached(call, a, files, stop)
}

// tap copies the output that a asks for to files. One that is nil is left out.
func (c *ctr) tap(a wire.Attach, files []*os.File) (stop func(), err error) {
	var sources []*crilog.Source
	if a.Stdout {
		sources = append(sources, c.io.stdout)
	}
	if a.Stderr {
		sources = append(sources, c.io.stderr)
	}
	if len(sources) != len(files) {
		return nil, errors.New("attach: the number of descriptors is wrong")
	}
	var stops []func()
	for i, src := range sources {
		switch {
		case files[i] == nil:
		case src == nil: // the terminal's stderr, or a program that cannot start
			files[i].Close()
		default:
			stops = append(stops, src.Tap(files[i]))
		}
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}, nil
}

// attached returns when the container or the call ends.
func (c *ctr) attached(call *call, a wire.Attach, files []*os.File, stop func()) error {
	defer c.detach(a, stop)
	call.wait(&keptCall{Container: c.id, Attach: &a, files: files}, func() {
		select {
		case <-c.exited:
		case <-call.cancelled:
		}
	})
	return nil
}

func (c *ctr) detach(a wire.Attach, stop func()) {
	if a.Stdin && c.stdinOnce {
		c.io.closeStdin()
	}
	stop()
}

func (c *ctr) sendInput(call *call, a wire.Attach) error {
	var input *os.File
	if a.Stdin || c.isTTY() {
		input = c.io.input()
	}
	defer closeFiles([]*os.File{input})
	return call.progress(wire.Attached{TTY: c.isTTY(), Stdin: input != nil}, input)
}

func (c *ctr) isTTY() bool { return c.process.Terminal }

// closeStdin ends the input of a container whose input is to end with the first
// client's.
func (s *Supervisor) closeStdin(id string) error {
	c, err := s.get(id)
	if err != nil {
		return err
	}
	if c.stdinOnce {
		c.io.closeStdin()
	}
	return nil
}
