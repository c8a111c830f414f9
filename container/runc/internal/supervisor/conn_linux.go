//go:build cgo

package supervisor

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc/internal/wire"
)

// conn is one agent.
type conn struct {
	s     *Supervisor
	wire  *wire.Conn
	notes chan note
	lost  atomic.Bool
	calls sync.WaitGroup

	mu     sync.Mutex
	active map[uint64]*call
	closed chan struct{} // the agent is gone
}

// note is something the agent did not ask for: a message, or descriptors to
// hold, which are copied when it is sent.
type note struct {
	msg  *wire.Message
	hold *ctr
}

// call is one request under way.
type call struct {
	conn      *conn
	id        uint64
	once      sync.Once
	cancelled chan struct{}
}

func (c *call) cancel() { c.once.Do(func() { close(c.cancelled) }) }

// gone tells that the agent itself has ended.
func (c *call) gone() bool {
	select {
	case <-c.conn.closed:
		return true
	default:
		return false
	}
}

// progress tells the caller something before the call is done. f may be nil.
func (c *call) progress(body any, f *os.File) error {
	m := &wire.Message{ID: c.id, Op: wire.OpProgress, Body: wire.Body(body)}
	if f != nil {
		m.Files = []*os.File{f}
	}
	return c.conn.wire.Send(m)
}

// serve speaks with one agent until it is gone, and ends what it had under way.
func (s *Supervisor) serve(w *wire.Conn) {
	defer w.Close()
	if !s.greet(w) {
		return
	}
	c := &conn{s: s, wire: w, notes: make(chan note, 1024), active: map[uint64]*call{}, closed: make(chan struct{})}
	s.mu.Lock()
	s.conns[c] = true
	s.considerIdle()
	s.mu.Unlock()
	for _, k := range s.all() {
		c.queue(note{hold: k})
	}
	c.calls.Go(c.tell)
	for {
		m, err := w.Receive()
		if err != nil {
			break
		}
		c.dispatch(m)
	}
	s.mu.Lock()
	close(c.closed)
	s.mu.Unlock()
	c.mu.Lock()
	for _, k := range c.active {
		k.cancel()
	}
	c.mu.Unlock()
	c.calls.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.considerIdle()
}

// greet exchanges versions.
func (s *Supervisor) greet(w *wire.Conn) bool {
	m, err := w.Receive()
	if err != nil || m.Op != wire.OpHello {
		return false
	}
	closeFiles(m.Files)
	var hello wire.Hello
	if err := decode(m, &hello); err != nil {
		return false
	}
	answer := &wire.Message{Op: wire.OpHello, Body: wire.Body(wire.Hello{Version: wire.Version, Pid: os.Getpid()})}
	if hello.Version != wire.Version {
		answer.Err = &wire.Error{Message: "the supervisor that runs here is of another version: end its containers, or use the program that started it"}
	}
	return w.Send(answer) == nil && answer.Err == nil
}

// queue never blocks. A slow agent is told that it missed something.
func (c *conn) queue(n note) {
	select {
	case c.notes <- n:
	default:
		c.lost.Store(true)
	}
}

// tell sends notes until the agent is gone.
func (c *conn) tell() {
	for {
		select {
		case <-c.closed:
			return
		case n := <-c.notes:
			if err := c.send(n); err != nil {
				c.wire.Close()
				return
			}
		}
		if len(c.notes) == 0 && c.lost.Swap(false) {
			c.queue(note{msg: &wire.Message{Op: wire.OpEvent, Body: wire.Body(container.Event{Kind: container.EventLost})}})
			for _, k := range c.s.all() {
				c.queue(note{hold: k})
			}
		}
	}
}

func (c *conn) send(n note) error {
	if n.hold == nil {
		return c.wire.Send(n.msg)
	}
	files, pid := n.hold.heldFiles()
	defer closeFiles(files)
	if len(files) == 0 {
		return nil
	}
	return c.wire.Send(&wire.Message{Op: wire.OpHold, Body: wire.Body(wire.Adopt{ID: n.hold.id, Pid: pid}), Files: files})
}

// heldFiles copies the pidfd and the output FIFOs of a container that lives.
func (c *ctr) heldFiles() ([]*os.File, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pidfd < 0 || c.ending {
		return nil, 0
	}
	f := dup(c.pidfd, "pidfd")
	if f == nil {
		return nil, 0
	}
	return append([]*os.File{f}, c.io.held()...), c.rec.Pid
}

// dispatch begins a call.
func (c *conn) dispatch(m *wire.Message) {
	if m.Op == wire.OpCancel {
		closeFiles(m.Files)
		c.mu.Lock()
		defer c.mu.Unlock()
		if k := c.active[m.ID]; k != nil {
			k.cancel()
		}
		return
	}
	k := &call{conn: c, id: m.ID, cancelled: make(chan struct{})}
	c.mu.Lock()
	taken := c.active[m.ID] != nil || m.ID == 0 || len(c.active) >= maxCalls
	if !taken {
		c.active[m.ID] = k
	}
	c.mu.Unlock()
	if taken {
		closeFiles(m.Files)
		c.answer(m.ID, nil, errors.New("the call's id is taken, or too many calls are under way"))
		return
	}
	c.calls.Go(func() {
		body, err := c.s.handle(k, m)
		c.mu.Lock()
		delete(c.active, m.ID)
		c.mu.Unlock()
		c.answer(m.ID, body, err)
	})
}

// maxCalls bounds what one agent can have under way.
const maxCalls = 4096

func (c *conn) answer(id uint64, body any, err error) {
	m := &wire.Message{ID: id, Op: wire.OpDone, Err: wire.NewError(err)}
	if body != nil {
		m.Body = wire.Body(body)
	}
	if err := c.wire.Send(m); err != nil && !errors.Is(err, unix.EPIPE) {
		c.wire.Close()
	}
}
