package local

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/cri/stream"
)

// Exec runs a command in a running container and returns its exit code. An
// empty container name is as for Logs.
func (n *Node) Exec(ctx context.Context, name, containerName string, o stream.ExecOptions) (int, error) {
	rec, err := n.find(name)
	if err != nil {
		return 0, err
	}
	c, err := n.instance(ctx, rec, containerName, false)
	if err != nil {
		return 0, err
	}
	x, ok := n.blocks.runtime.(stream.Execer)
	if !ok {
		return 0, fmt.Errorf("runtime %s: exec with streams is not supported", n.blocks.name)
	}
	if c.State != "running" {
		return 0, fmt.Errorf("exec in container %q in pod %q: it is %s, and does not run", c.Name, rec.Pod.Name, c.State)
	}
	code, err := x.ExecStream(ctx, c.ID, o)
	var program *container.StartError
	switch {
	case err == nil:
		return code, nil
	case errors.As(err, &program):
		err = program.Err
	}
	return code, named{fmt.Errorf("exec in container %q in pod %q: %w", c.Name, rec.Pod.Name, err), c}
}

// named is an error that has a container's name where its id stood.
type named struct {
	error
	c ContainerInfo
}

func (e named) Error() string { return strings.ReplaceAll(e.error.Error(), e.c.ID, e.c.Name) }
func (e named) Unwrap() error { return e.error }
