package crilog

import (
	"errors"
	"os"
	"sync"
	"time"
)

// tap is a reader of live output: the writing end of its pipe.
type tap struct{ f *os.File }

// Write gives b to the reader, who has [MaxWait] to make room.
func (t *tap) Write(b []byte) (int, error) {
	if err := t.f.SetWriteDeadline(time.Now().Add(MaxWait)); err != nil && !errors.Is(err, os.ErrNoDeadline) {
		return 0, err
	}
	return t.f.Write(b)
}

type tapSet struct {
	mu     sync.Mutex
	taps   map[*tap]bool
	closed bool
}

// Tap copies the source's output from now on to f, a pipe's end that does not
// block and is closed when the output ends, the reader is too slow, or stop is
// called.
func (s *Source) Tap(f *os.File) (stop func()) {
	t := &tap{f}
	s.tap.mu.Lock()
	defer s.tap.mu.Unlock()
	if s.tap.closed {
		f.Close()
		return func() {}
	}
	if s.tap.taps == nil {
		s.tap.taps = map[*tap]bool{}
	}
	s.tap.taps[t] = true
	return func() { s.tap.remove(t) }
}

func (s *tapSet) remove(t *tap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taps[t] {
		delete(s.taps, t)
		t.f.Close()
	}
}

func (s *tapSet) send(b []byte) {
	if len(b) == 0 {
		return
	}
	for _, t := range s.list() {
		if _, err := t.Write(b); err != nil {
			s.remove(t)
		}
	}
}

func (s *tapSet) list() []*tap {
	s.mu.Lock()
	defer s.mu.Unlock()
	var l []*tap
	for t := range s.taps {
		l = append(l, t)
	}
	return l
}

func (s *tapSet) close() {
	for _, t := range s.list() {
		s.remove(t)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}
