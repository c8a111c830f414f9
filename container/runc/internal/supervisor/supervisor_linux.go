//go:build cgo

package supervisor

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc/internal/boot"
	"github.com/lifepod/lifepod/container/runc/internal/wire"
)

// Supervisor is the state of the process.
type Supervisor struct {
	cfg  boot.Config
	boot string // the machine's boot id
	poll *poller
	reap *reaper
	rest rest
	wg   sync.WaitGroup
	quit chan struct{}

	ownCgroup func() (string, error) // one of this process's directories on v1

	alive    *os.File // locked as long as the process lives
	listener *net.UnixListener

	mu        sync.Mutex
	ctrs      map[string]*ctr
	wires     map[*wire.Conn]bool // of agents, and of those who may become some
	conns     map[*conn]bool
	warned    map[string]bool
	idle      *time.Timer
	upgrading bool
	ended     bool
	endLock   *os.File

	hides sync.Map // runtime programs that do not bear a hybrid machine, or do
}

func newSupervisor(cfg boot.Config) (*Supervisor, error) {
	poll, err := newPoller()
	if err != nil {
		return nil, err
	}
	return &Supervisor{
		cfg: cfg, boot: bootID(), poll: poll, reap: newReaper(), rest: rest{ended: letPagesGoLater()}, quit: make(chan struct{}),
		ownCgroup: sync.OnceValues(func() (string, error) { return cgroupOf(cfg.CgroupRoot) }),
		ctrs:      map[string]*ctr{}, wires: map[*wire.Conn]bool{}, conns: map[*conn]bool{}, warned: map[string]bool{},
	}, nil
}

// libRoot is where libcontainer keeps its state.
func (s *Supervisor) libRoot() string { return s.cfg.State() }

func (s *Supervisor) get(id string) (*ctr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.ctrs[id]
	if c == nil {
		return nil, fmt.Errorf("container %q: %w", id, container.ErrNotFound)
	}
	return c, nil
}

func (s *Supervisor) has(c *ctr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ctrs[c.id] == c
}

// reserve puts c into the table unless its id is taken.
func (s *Supervisor) reserve(c *ctr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctrs[c.id] != nil {
		return false
	}
	s.ctrs[c.id] = c
	s.considerIdle()
	return true
}

func (s *Supervisor) forget(c *ctr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctrs[c.id] == c {
		delete(s.ctrs, c.id)
	}
	s.considerIdle()
}

// considerIdle has the process end in a while if nobody needs it. s.mu is held.
func (s *Supervisor) considerIdle() {
	switch needed := s.needed(); {
	case needed && s.idle != nil:
		s.idle.Stop()
		s.idle = nil
	case !needed && s.idle == nil && !s.ended:
		s.idle = time.AfterFunc(s.cfg.Idle, s.tryEnd)
	}
}

// needed tells that the process has something to do. s.mu is held.
func (s *Supervisor) needed() bool { return len(s.ctrs) > 0 || len(s.conns) > 0 || s.upgrading }

func (s *Supervisor) all() []*ctr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*ctr
	for _, c := range s.ctrs {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *ctr) int { return cmp.Compare(a.id, b.id) })
	return all
}

// state tells of one container; one whose exit is being learnt is waited for.
func (s *Supervisor) state(id string) (container.State, error) {
	c, err := s.get(id)
	if err != nil {
		return container.State{}, err
	}
	return c.settledState(), nil
}

func (s *Supervisor) list() []container.State {
	states := []container.State{}
	for _, c := range s.all() {
		if c.made() {
			states = append(states, c.settledState())
		}
	}
	return states
}

// made tells that create has come to its end.
func (c *ctr) made() bool { return c.record().Phase != phaseCreating && c.record().Phase != "" }

func (c *ctr) settledState() container.State {
	c.mu.Lock()
	pending := c.pending
	c.mu.Unlock()
	if pending {
		<-c.exited
	}
	return c.state()
}

func (s *Supervisor) signal(id string, sig int) error {
	c, err := s.get(id)
	if err != nil {
		return err
	}
	if sig < 1 || sig > 64 {
		return fmt.Errorf("signal container %s: there is no signal %d", id, sig)
	}
	if c.hasExited() {
		return nil
	}
	return effectSignal.Do(func() error { return c.signal(unix.Signal(sig)) })
}

func (s *Supervisor) reopen(id string) error {
	c, err := s.get(id)
	if err != nil {
		return err
	}
	if c.hasExited() {
		return nil // nothing more will be written
	}
	return c.log.Reopen()
}

// publish tells every agent.
func (s *Supervisor) publish(e container.Event) {
	m := &wire.Message{Op: wire.OpEvent, Body: wire.Body(e)}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.queue(note{msg: m})
	}
}

// hold gives every agent copies of what keeps c's output and exit code from
// being lost while no supervisor runs.
func (s *Supervisor) hold(c *ctr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.conns {
		k.queue(note{hold: c})
	}
}

func (s *Supervisor) release(c *ctr) {
	m := &wire.Message{Op: wire.OpRelease, Body: wire.Body(wire.Target{ID: c.id})}
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.conns {
		k.queue(note{msg: m})
	}
}

// warn has the agents log something that no call can return.
func (s *Supervisor) warn(what string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	m := &wire.Message{Op: wire.OpLog, Body: wire.Body(wire.Log{Message: what, Error: text})}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.queue(note{msg: m})
	}
}

func (s *Supervisor) warnOnce(key, what string) {
	s.mu.Lock()
	seen := s.warned[key]
	s.warned[key] = true
	s.mu.Unlock()
	if !seen {
		s.warn(what, nil)
	}
}
