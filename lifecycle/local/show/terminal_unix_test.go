//go:build unix

package show_test

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/console"
)

// terminal is a pseudo terminal, and what its screen shows.
type terminal struct {
	console.Console
	tty *os.File

	mu     sync.Mutex
	screen *screen
	raw    bytes.Buffer
	news   chan struct{} // something was written
	ended  chan struct{}
}

// openTerminal makes a terminal of a size. Everything written to its tty is on its
// screen once hangUp has returned.
func openTerminal(t *testing.T, width, height int) *terminal {
	t.Helper()
	con, name, err := console.NewPty()
	if err != nil {
		t.Fatal(err)
	}
	tm := &terminal{Console: con, screen: &screen{width: width, height: height}, news: make(chan struct{}, 1), ended: make(chan struct{})}
	tm.resize(t, width, height)
	if tm.tty, err = os.OpenFile(name, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	go tm.read()
	t.Cleanup(func() { tm.hangUp(); con.Close() })
	return tm
}

func (tm *terminal) resize(t *testing.T, width, height int) {
	t.Helper()
	if err := tm.Resize(console.WinSize{Width: uint16(width), Height: uint16(height)}); err != nil { //nolint:gosec // small
		t.Fatal(err)
	}
}

func (tm *terminal) read() {
	defer close(tm.ended)
	in := bufio.NewReader(tm)
	for {
		r, _, err := in.ReadRune()
		if err != nil {
			return
		}
		tm.mu.Lock()
		tm.raw.WriteRune(r)
		tm.screen.put(r)
		tm.mu.Unlock()
		select {
		case tm.news <- struct{}{}:
		default:
		}
	}
}

// hangUp closes the tty and waits for the rest of what was written to it.
func (tm *terminal) hangUp() {
	tm.tty.Close()
	<-tm.ended
}

// await waits until the screen is as wanted.
func (tm *terminal) await(want func(text string) bool) {
	for {
		tm.mu.Lock()
		ok := want(tm.screen.text())
		tm.mu.Unlock()
		if ok {
			return
		}
		<-tm.news
	}
}

// screen is as much of a terminal as the panel needs: it wraps, scrolls, moves the
// cursor up and erases below it.
type screen struct {
	width, height int
	lines         []string // scrolled away
	grid          [][]rune
	x, y          int
	escape        string // begun
	wrapOff       bool
	styled        bool
}

func (s *screen) put(r rune) {
	for len(s.grid) < s.height {
		s.grid = append(s.grid, nil)
	}
	switch {
	case s.escape != "":
		if s.escape += string(r); len(s.escape) > 2 && r >= '@' {
			s.control(s.escape)
			s.escape = ""
		}
	case r == '\x1b':
		s.escape = "\x1b"
	case r == '\r':
		s.x = 0
	case r == '\n':
		s.feed()
	default:
		s.print(r)
	}
}

func (s *screen) print(r rune) {
	if s.x == s.width {
		if s.wrapOff {
			s.x--
		} else {
			s.x = 0
			s.feed()
		}
	}
	for len(s.grid[s.y]) <= s.x {
		s.grid[s.y] = append(s.grid[s.y], ' ')
	}
	s.grid[s.y][s.x] = r
	s.x++
}

func (s *screen) feed() {
	if s.y++; s.y == s.height {
		s.lines = append(s.lines, string(s.grid[0]))
		s.grid = append(s.grid[1:], nil)
		s.y--
	}
}

func (s *screen) control(sequence string) {
	body, end := sequence[2:len(sequence)-1], sequence[len(sequence)-1]
	switch {
	case end == 'A':
		n, _ := strconv.Atoi(body)
		s.y = max(0, s.y-n)
	case end == 'J' && body == "":
		s.grid[s.y] = s.grid[s.y][:min(s.x, len(s.grid[s.y]))]
		for i := s.y + 1; i < s.height; i++ {
			s.grid[i] = nil
		}
	case body == "?7":
		s.wrapOff = end == 'l'
	case end == 'm':
		s.styled = body != ""
	default:
		panic("the screen knows no " + strconv.Quote(sequence))
	}
}

// text is all that was ever shown and not erased.
func (s *screen) text() string {
	var b strings.Builder
	for _, l := range s.lines {
		b.WriteString(strings.TrimRight(l, " ") + "\n")
	}
	for _, l := range s.grid {
		b.WriteString(strings.TrimRight(string(l), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}
