package runc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc/internal/wire"
)

// killWait is how long a call that was cancelled waits for its process to be
// gone.
const killWait = 5 * time.Second

// Exec implements container.Runtime. A program that cannot be executed is a
// *container.StartError with exit code 128. A Stdin that is not an *os.File is
// read until its end, also after Exec has returned.
func (r *Runtime) Exec(ctx context.Context, id string, e container.Exec) (int, error) {
	if _, err := r.connect(ctx, false); err != nil {
		return 0, err
	}
	req := wire.Exec{ID: id, Args: e.Args, Env: e.Env, Cwd: e.Cwd, User: e.User, TTY: e.TTY}
	if e.TTY {
		return r.execTTY(ctx, req, e)
	}
	var std stdio
	err := std.input(e.Stdin)
	if err == nil {
		err = std.output(e.Stdout)
	}
	if err == nil && same(e.Stdout, e.Stderr) {
		std.theirs = append(std.theirs, std.theirs[1])
	} else if err == nil {
		err = std.output(e.Stderr)
	}
	var k *call
	if err == nil {
		k, err = r.callExec(ctx, req, std.theirs...)
	}
	std.sent()
	if err != nil {
		std.finish(closedChannel)
		return 0, err
	}
	defer k.forget()
	code, err := awaitExit(ctx, k, nil)
	stop := ctx.Done()
	if err != nil {
		stop = closedChannel
	}
	std.finish(stop)
	if err == nil {
		err = ctx.Err()
	}
	return code, err
}

// callExec asks for an exec. Where that could not be sent, nobody has heard it:
// the next supervisor is asked.
func (r *Runtime) callExec(ctx context.Context, req wire.Exec, files ...*os.File) (*call, error) {
	for try := 0; ; try++ {
		l, err := r.connect(ctx, false)
		if err != nil {
			return nil, err
		}
		k, err := l.call(wire.OpExec, req, files...)
		if !errors.Is(err, errLost) || try == 3 {
			return k, err
		}
	}
}

// same tells that stdout and stderr are one writer, which must then not be
// written to by two goroutines.
func same(a, b io.Writer) bool {
	defer func() { _ = recover() }() // types that cannot be compared are not the same
	return a != nil && a == b
}

var closedChannel = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// awaitExit waits for the exit code, and has begun called when the process runs.
func awaitExit(ctx context.Context, k *call, begun func(*wire.Message) error) (int, error) {
	for {
		m, err := k.wait(ctx)
		if ctx.Err() != nil && err != nil {
			cancelled(k)
			return 0, ctx.Err()
		}
		if err != nil {
			return 0, err
		}
		if m.Op == wire.OpProgress {
			if begun == nil {
				closeFiles(m.Files)
				continue
			}
			if err := begun(m); err != nil {
				cancelled(k)
				return 0, err
			}
			continue
		}
		closeFiles(m.Files)
		var x wire.Exit
		if len(m.Body) > 0 {
			if err := json.Unmarshal(m.Body, &x); err != nil {
				return 0, fmt.Errorf("decode the supervisor's answer to exec: %w", err)
			}
		}
		return x.Code, m.Err.Local()
	}
}

// cancelled ends the call and waits until it has ended.
func cancelled(k *call) {
	k.cancel()
	ctx, stop := context.WithTimeout(context.Background(), killWait)
	defer stop()
	for {
		m, err := k.wait(ctx)
		if err != nil {
			return
		}
		closeFiles(m.Files)
		if m.Op == wire.OpDone {
			return
		}
	}
}

func (r *Runtime) execTTY(ctx context.Context, req wire.Exec, e container.Exec) (int, error) {
	select {
	case s, ok := <-e.Resize: // a size that is known already holds from the start
		if ok {
			req.Size = &wire.Size{Width: s.Width, Height: s.Height}
		}
	default:
	}
	k, err := r.callExec(ctx, req)
	if err != nil {
		return 0, err
	}
	defer k.forget()
	var t *terminal
	var out sync.WaitGroup
	done := make(chan struct{})
	code, err := awaitExit(ctx, k, func(m *wire.Message) error {
		if len(m.Files) != 1 || t != nil {
			closeFiles(m.Files)
			return fmt.Errorf("exec in container %s: no terminal came", req.ID)
		}
		var err error
		if t, err = newTerminal(m.Files[0]); err != nil {
			return err
		}
		t.copy(&out, e, done)
		return nil
	})
	close(done)
	if t == nil {
		return code, err
	}
	if err != nil { // nobody may be there to end the output
		_ = t.f.SetDeadline(time.Unix(1, 0))
	}
	defer context.AfterFunc(ctx, func() { _ = t.f.SetDeadline(time.Unix(1, 0)) })()
	out.Wait()
	t.f.Close()
	if err == nil {
		err = ctx.Err()
	}
	return code, err
}

// copy carries bytes and sizes between the caller and the terminal. The output
// ends with the terminal's last user.
func (t *terminal) copy(out *sync.WaitGroup, e container.Exec, done <-chan struct{}) {
	w := e.Stdout
	if w == nil {
		w = io.Discard
	}
	out.Go(func() { _, _ = io.Copy(w, onlyReader{t.f}) })
	if e.Stdin != nil {
		go func() { _, _ = io.Copy(onlyWriter{t.f}, e.Stdin) }() // ends when Stdin does
	}
	if e.Resize != nil {
		out.Go(func() { t.follow(e.Resize, done) })
	}
}

// onlyReader and onlyWriter hide methods with which io.Copy would splice.
type onlyReader struct{ io.Reader }

type onlyWriter struct{ io.Writer }
