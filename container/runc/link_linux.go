package runc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc/internal/boot"
	"github.com/lifepod/lifepod/container/runc/internal/wire"
	"github.com/lifepod/lifepod/internal/sys"
)

var effectMessage = sys.NewEffect("container/message")

// errLost is for a call whose supervisor died: nobody knows what came of it.
var errLost = errors.New("the supervisor died during the call")

// link is one connection. Its reader ends when it breaks.
type link struct {
	wire  *wire.Conn
	dead  chan struct{}
	ready atomic.Bool // what we held was handed over

	mu    sync.Mutex
	next  uint64
	calls map[uint64]*call
}

// call is one request under way.
type call struct {
	link    *link
	id      uint64
	answers chan *wire.Message
}

// dial connects to a supervisor that listens, and agrees with it on the version.
func dial(cfg boot.Config) (*link, error) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: cfg.Socket(), Net: "unix"})
	if err != nil {
		return nil, err
	}
	w := wire.NewConn(c)
	err = w.Send(&wire.Message{Op: wire.OpHello, Body: wire.Body(wire.Hello{Version: wire.Version, Pid: os.Getpid()})})
	var m *wire.Message
	if err == nil {
		m, err = w.Receive()
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	closeFiles(m.Files)
	if err := welcomed(m); err != nil {
		w.Close()
		return nil, &refusedError{err}
	}
	return &link{wire: w, dead: make(chan struct{}), calls: map[uint64]*call{}}, nil
}

// welcomed reads a supervisor's hello.
func welcomed(m *wire.Message) error {
	var hello wire.Hello
	if err := json.Unmarshal(m.Body, &hello); err != nil || m.Op != wire.OpHello {
		return errors.Join(errors.New("it does not say hello"), err)
	}
	if hello.Version != wire.Version {
		return fmt.Errorf("it speaks version %d of the protocol, this program version %d: %w", hello.Version, wire.Version, ErrVersion)
	}
	return m.Err.Local()
}

// refusedError is for a supervisor that is there and does not want us.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return "connect to the supervisor: " + e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

func (l *link) alive() bool {
	select {
	case <-l.dead:
		return false
	default:
		return true
	}
}

// call sends a request. The files stay the caller's.
func (l *link) call(op string, body any, files ...*os.File) (*call, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", op, err)
	}
	l.mu.Lock()
	l.next++
	k := &call{link: l, id: l.next, answers: make(chan *wire.Message, 4)}
	l.calls[k.id] = k
	l.mu.Unlock()
	err = effectMessage.Do(func() error {
		return l.wire.Send(&wire.Message{ID: k.id, Op: op, Body: b, Files: files})
	})
	if err == nil {
		return k, nil
	}
	k.forget()
	var n *net.OpError
	if errors.As(err, &n) || errors.Is(err, net.ErrClosed) {
		l.wire.Close()
		<-l.dead // whoever tries again must not find this link
		return nil, fmt.Errorf("%w: %w", errLost, err)
	}
	return nil, err
}

// wait returns the next answer. When ctx ends the call goes on without us.
func (k *call) wait(ctx context.Context) (*wire.Message, error) {
	select {
	case m := <-k.answers:
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-k.link.dead:
		select { // it may have answered just before
		case m := <-k.answers:
			return m, nil
		default:
			return nil, errLost
		}
	}
}

// cancel asks the supervisor to end the call.
func (k *call) cancel() {
	_ = k.link.wire.Send(&wire.Message{ID: k.id, Op: wire.OpCancel})
}

// forget drops further answers.
func (k *call) forget() {
	k.link.mu.Lock()
	defer k.link.mu.Unlock()
	delete(k.link.calls, k.id)
	for {
		select {
		case m := <-k.answers:
			closeFiles(m.Files)
		default:
			return
		}
	}
}

// answer hands m to its call, if that still wants it.
func (l *link) answer(m *wire.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.calls[m.ID]; k != nil {
		select {
		case k.answers <- m:
			return
		default:
		}
	}
	closeFiles(m.Files)
}

// read serves the link until it breaks.
func (r *Runtime) read(l *link) {
	for {
		m, err := l.wire.Receive()
		if err != nil {
			break
		}
		if m.ID != 0 {
			l.answer(m)
			continue
		}
		r.notice(m)
	}
	l.wire.Close()
	close(l.dead)
	r.linkBroke(l)
}

// notice deals with what the supervisor tells unasked.
func (r *Runtime) notice(m *wire.Message) {
	switch m.Op {
	case wire.OpHold:
		var a wire.Adopt
		if json.Unmarshal(m.Body, &a) == nil && len(m.Files) > 0 {
			r.keep(a, m.Files)
			return
		}
	case wire.OpRelease:
		var t wire.Target
		if json.Unmarshal(m.Body, &t) == nil {
			r.letGo(t.ID)
		}
	case wire.OpEvent:
		var e container.Event
		if json.Unmarshal(m.Body, &e) == nil {
			r.fanOut(e)
		}
	case wire.OpLog:
		var g wire.Log
		if json.Unmarshal(m.Body, &g) == nil {
			r.opts.Log.Info(g.Message, "source", "supervisor", "error", g.Error)
		}
	}
	closeFiles(m.Files)
}
