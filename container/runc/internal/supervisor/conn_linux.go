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
	op        string
	once      sync.Once
	cancelled chan struct{}
	waits     *keptCall // while it waits; guarded by conn.mu
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

// call makes the call with this id.
func (c *conn) call(id uint64, op string) *call {
	return &call{conn: c, id: id, op: op, cancelled: make(chan struct{})}
}

// join puts an agent into the table.
func (s *Supervisor) join(w *wire.Conn) *conn {
	c := &conn{s: s, wire: w, notes: make(chan note, 1024), active: map[uint64]*call{}, closed: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = true
	s.considerIdle()
	c.calls.Go(c.tell)
	return c
}

// serve speaks with an agent until it is gone, and ends what it had under way.
func (c *conn) serve() {
	for {
		m, err := c.s.next(c.wire)
		if err != nil {
			break
		}
		c.dispatch(m)
	}
	c.s.mu.Lock()
	close(c.closed)
	c.s.mu.Unlock()
	c.mu.Lock()
	for _, k := range c.active {
		k.cancel()
	}
	c.mu.Unlock()
	c.calls.Wait()
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	delete(c.s.conns, c)
	c.s.considerIdle()
	for ; len(c.notes) > 0; <-c.notes {
		c.s.rest.end()
	}
}

// queue never blocks. A slow agent is told that it missed something.
func (c *conn) queue(n note) {
	c.s.rest.add()
	select {
	case c.notes <- n:
	default:
		c.lost.Store(true)
		c.s.rest.end()
	}
}

// tell sends notes until the agent is gone.
func (c *conn) tell() {
	for {
		select {
		case <-c.closed:
			return
		case n := <-c.notes:
			err := c.send(n)
			c.s.rest.end()
			if err != nil {
				c.wire.Close()
				return
			}
		}
		if len(c.notes) == 0 && c.lost.Swap(false) {
			c.missed()
		}
	}
}

// missed tells the agent to look for itself.
func (c *conn) missed() {
	c.queue(note{msg: &wire.Message{Op: wire.OpEvent, Body: wire.Body(container.Event{Kind: container.EventLost})}})
	c.holdAll()
}

// holdAll gives the agent what keeps output and exit codes from being lost.
func (c *conn) holdAll() {
	for _, k := range c.s.all() {
		c.queue(note{hold: k})
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
	k := c.call(m.ID, m.Op)
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
	if m.Op == wire.OpCreate {
		closeFiles(m.Files)
		create := c.s.create(m)
		c.run(k, func() (any, error) { return nil, create() })
		return
	}
	c.run(k, func() (any, error) { return c.s.handle(k, m) })
}

// run does what k asks for and answers it.
func (c *conn) run(k *call, f func() (any, error)) {
	c.s.rest.add()
	c.calls.Go(func() {
		defer c.s.rest.end()
		body, err := f()
		c.mu.Lock()
		delete(c.active, k.id)
		c.mu.Unlock()
		c.answer(k.id, body, err)
	})
}

// wait has f wait for something that an upgrade need not wait for, as the next
// program can go on with it by what w says.
func (c *call) wait(w *keptCall, f func()) {
	c.setWaits(w)
	c.conn.s.rest.end()
	f()
	c.conn.s.rest.begin()
	c.setWaits(nil)
}

func (c *call) setWaits(w *keptCall) {
	c.conn.mu.Lock()
	defer c.conn.mu.Unlock()
	c.waits = w
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
