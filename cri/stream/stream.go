// Package stream names the streaming abilities that a CRI runtime in the same
// process has beside its CRI methods, found by assertion: no URL, no server, the
// caller's own readers and writers. A runtime that only speaks CRI gets them
// from an adapter that follows the URLs.
package stream

import (
	"context"
	"io"
)

// Size is a terminal's, in characters.
type Size struct{ Width, Height uint16 }

// ExecOptions describe a process to run in a container. Nil streams are empty or
// discarded.
type ExecOptions struct {
	Cmd []string
	// TTY gives the process a terminal; all its output then goes to Stdout.
	TTY            bool
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Resize carries the terminal's sizes. Who made the channel closes it.
	Resize <-chan Size
}

// Execer runs a process in a running container until it ends or ctx does, which
// kills it. An exit code other than zero is no error.
type Execer interface {
	ExecStream(ctx context.Context, containerID string, o ExecOptions) (exitCode int, err error)
}

// AttachOptions are the caller's ends of a container's own streams.
type AttachOptions struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Resize         <-chan Size
}

// Attacher joins the streams of a running container until it ends, the streams
// do, or ctx does, which leaves the container running.
type Attacher interface {
	AttachStream(ctx context.Context, containerID string, o AttachOptions) error
}

// PortForwarder connects conn to a port of a pod, on its loopback, and copies
// both ways until both sides are done or ctx is. It closes conn.
type PortForwarder interface {
	PortForwardStream(ctx context.Context, sandboxID string, port uint16, conn io.ReadWriteCloser) error
}
