package crilog

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Source is one stream of a container.
type Source struct {
	// Stream is the log's word for it: stdout or stderr.
	Stream string
	// Fd is non-blocking. A FIFO that is open for reading and writing, or the
	// master of a terminal.
	Fd int
	// TTY says that Fd is a terminal, from which bytes can only be read, not
	// looked at: those that were read when the process dies are lost.
	TTY bool
	// Carried is how far it was carried: zero for a new source. It is the pump's,
	// but for the time that the pump rests.
	Carried

	tap tapSet
}

// Carried is what is known of a source besides its descriptor.
type Carried struct {
	Seen int    `json:"seen,omitempty"` // bytes at the FIFO's head that taps have got
	Rest []byte `json:"rest,omitempty"` // an unfinished line of a terminal
}

// Pump carries the output of one container into its log. Kick may be called by
// anyone at any time; nothing runs while there is nothing to carry.
type Pump struct {
	log     *File
	sources []*Source
	state   atomic.Int32
	wg      sync.WaitGroup
	run     sync.Mutex // held while carrying
	closed  bool       // guarded by run
	resting atomic.Bool
}

const (
	idle = iota
	running
	again
)

// NewPump makes a pump. The descriptors and the log stay the caller's, and stay
// open until Drain has returned.
func NewPump(log *File, sources ...*Source) *Pump {
	return &Pump{log: log, sources: sources}
}

// Kick carries what is there, in the background.
func (p *Pump) Kick() {
	if p.state.Swap(again) != idle {
		return
	}
	p.wg.Go(func() {
		for p.state.Store(running); ; p.state.Store(running) {
			p.carry(false)
			if p.state.CompareAndSwap(running, idle) {
				return
			}
		}
	})
}

// Drain carries all that is left, unfinished lines too, ends the taps and
// returns when nothing more will be carried. Calling it twice is harmless.
func (p *Pump) Drain() {
	p.carry(true)
	p.run.Lock()
	p.closed = true
	for _, s := range p.sources {
		s.tap.close()
	}
	p.run.Unlock()
	p.wg.Wait()
	p.log.Probe()
}

// Rest has the pump carry nothing from now on, as soon as the batch under way is
// in the log. Rested waits for that. What was taken off the sources is then in
// the log, but for Carried.
func (p *Pump) Rest() { p.resting.Store(true) }

// Rested returns when nothing is being carried.
func (p *Pump) Rested() {
	p.run.Lock()
	defer p.run.Unlock()
}

// Resume ends the rest.
func (p *Pump) Resume() {
	p.resting.Store(false)
	p.Kick()
}

func (p *Pump) carry(flush bool) {
	p.run.Lock()
	defer p.run.Unlock()
	if p.closed || p.resting.Load() {
		return
	}
	if p.log.Failing() {
		p.log.Probe()
	}
	b := buffers.Get().(*buffer)
	defer func() { buffers.Put(b) }()
	for more := true; more && !p.resting.Load(); {
		more = false
		for _, s := range p.sources {
			if s.TTY {
				more = p.terminal(s, &b, flush) || more
			} else {
				more = p.fifo(s, &b, flush) || more
			}
		}
	}
	if p.log.Failing() {
		time.AfterFunc(MaxWait, p.Kick)
	}
}

// fifo carries one batch and tells whether there may be more.
func (p *Pump) fifo(s *Source, b **buffer, flush bool) bool {
	data := look(s.Fd, (*b).in[:])
	if len(data) == 0 {
		return false
	}
	s.show(data)
	flush = flush || !bytes.Contains(data, []byte{'\n'}) && len(data) < MaxLine && stuck(s.Fd, len(data))
	used := p.write(s, b, data, flush)
	for n := used; n > 0; {
		k, err := discard(s.Fd, n)
		if err != nil || k <= 0 {
			break
		}
		n -= k
	}
	s.Seen = max(0, s.Seen-used)
	return used > 0
}

// terminal carries one batch and tells whether there may be more.
func (p *Pump) terminal(s *Source, b **buffer, flush bool) bool {
	in := (*b).in[:]
	kept := copy(in, s.Rest)
	n, err := unix.Read(s.Fd, in[kept:])
	n = max(n, 0)
	if err != nil && n == 0 && !flush || kept+n == 0 {
		return false
	}
	s.tap.send(in[kept : kept+n])
	used := p.write(s, b, in[:kept+n], flush && n == 0)
	s.Rest = append(s.Rest[:0:0], (*b).in[used:kept+n]...)
	if len(s.Rest) == 0 {
		s.Rest = nil
	}
	return n > 0
}

// write logs lines of data, and returns how many bytes they were.
func (p *Pump) write(s *Source, b **buffer, data []byte, flush bool) (used int) {
	for {
		out, n, entries := Format((*b).out[:0], s.Stream, time.Now(), data[used:], flush, outLimit)
		if entries == 0 {
			return used
		}
		(*b).out = out
		used += n
		if !p.log.Write(out, entries) { // the log keeps the buffer
			fresh := buffers.New().(*buffer)
			fresh.in = (*b).in
			*b = fresh
		}
	}
}

// show gives the taps what they have not got yet.
func (s *Source) show(data []byte) {
	if s.Seen < len(data) {
		s.tap.send(data[s.Seen:])
		s.Seen = len(data)
	}
}

const outLimit = 128 << 10

type buffer struct {
	in  *[64 << 10]byte
	out []byte
}

var buffers = sync.Pool{New: func() any { return &buffer{in: new([64 << 10]byte)} }}
