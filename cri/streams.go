package cri

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/cri/stream"
	"github.com/lifepod/lifepod/netns"
	"google.golang.org/grpc/codes"
)

// ExecStream runs a command with the caller's own streams.
func (r *Runtime) ExecStream(ctx context.Context, id string, o stream.ExecOptions) (int, error) {
	rt, err := r.running(ctx, id, "exec in")
	if err != nil {
		return 0, err
	}
	if len(o.Cmd) == 0 {
		return 0, fieldError("cmd", "must not be empty")
	}
	e := container.Exec{Args: o.Cmd, TTY: o.TTY, Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr}
	if o.TTY {
		e.Env = []string{"TERM=xterm"}
	}
	sizes, done := resizes(ctx, o.Resize)
	defer done()
	e.Resize = sizes
	code, err := rt.Exec(ctx, id, e)
	return code, wrap(err, "exec in container %s", id)
}

// AttachStream joins a container's own streams.
func (r *Runtime) AttachStream(ctx context.Context, id string, o stream.AttachOptions) error {
	rt, err := r.running(ctx, id, "attach to")
	if err != nil {
		return err
	}
	a, ok := rt.(container.Attacher)
	if !ok {
		return errorf(codes.Unimplemented, "attach to container %s: its runtime cannot", id)
	}
	c, err := r.container(id)
	if err != nil {
		return err
	}
	if o.Stdin != nil && !c.Config.GetStdin() {
		return errorf(codes.FailedPrecondition, "attach to container %s: it was made without stdin", id)
	}
	sizes, done := resizes(ctx, o.Resize)
	defer done()
	return wrap(a.Attach(ctx, id, container.Streams{Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr, Resize: sizes}), "attach to container %s", id)
}

// resizes passes sizes on until done is called, which waits.
func resizes(ctx context.Context, in <-chan stream.Size) (_ <-chan container.Size, done func()) {
	if in == nil {
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	out, ended := make(chan container.Size), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case s, ok := <-in:
				if !ok {
					return
				}
				select {
				case out <- container.Size(s):
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, func() { cancel(); <-ended }
}

// PortForwardStream connects conn to a port on the pod's loopback.
func (r *Runtime) PortForwardStream(ctx context.Context, id string, port uint16, conn io.ReadWriteCloser) error {
	defer conn.Close()
	s, err := r.liveSandbox(ctx, id)
	if err != nil {
		return err
	}
	pod, err := r.dialPod(ctx, s, port)
	if err != nil {
		return wrap(err, "forward port %d of sandbox %s", port, id)
	}
	defer pod.Close()
	stop := context.AfterFunc(ctx, func() { pod.Close(); conn.Close() })
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(pod, conn)
		if c, ok := pod.(*net.TCPConn); ok {
			_ = c.CloseWrite() // the pod may still answer
		}
	}()
	_, err = io.Copy(conn, pod)
	conn.Close() // nobody is left to read for: end the other direction
	<-ended      // its error is the end that was just made
	if ctx.Err() != nil {
		return wrap(ctx.Err(), "forward port %d of sandbox %s", port, id)
	}
	return wrap(err, "forward port %d of sandbox %s", port, id)
}

// dialPod tries both loopbacks, from inside the pod's network.
func (r *Runtime) dialPod(ctx context.Context, s *sandbox, port uint16) (conn net.Conn, err error) {
	dial := func() error {
		var d net.Dialer
		for _, ip := range []string{"127.0.0.1", "::1"} { // addresses, not names: these are dialled on this thread
			if conn, err = d.DialContext(ctx, "tcp", net.JoinHostPort(ip, fmt.Sprint(port))); err == nil {
				return nil
			}
		}
		return err
	}
	if hostNetwork(s.Config) {
		return conn, dial()
	}
	err = netns.Do(netns.Paths(r.nsDir(s.ID), netns.Net).Net, dial)
	return conn, err
}
