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
	var sources []*crilog.Source
	if a.Stdout {
		sources = append(sources, c.io.stdout)
	}
	if a.Stderr {
		sources = append(sources, c.io.stderr)
	}
	if len(sources) != len(files) {
		closeFiles(files)
		return errors.New("attach: the number of descriptors is wrong")
	}
	for i, src := range sources {
		if src == nil { // the terminal's stderr, or a program that cannot start
			files[i].Close()
			continue
		}
		defer src.Tap(files[i])()
	}
	if a.Stdin && c.stdinOnce {
		defer c.io.closeStdin()
	}
	if err := c.sendInput(call, a); err != nil {
		return err
	}
	select {
	case <-c.exited:
	case <-call.cancelled:
	}
	return nil
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
