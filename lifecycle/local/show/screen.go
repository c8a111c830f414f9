package show

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/local"
)

const (
	// growth is how often the bars of a start under way are drawn anew.
	growth = 100 * time.Millisecond
	// headroom are the rows that the panel leaves to the newest events, if the
	// terminal has rows for both.
	headroom = 3
)

// screen keeps a panel at the lower end of a terminal, and events above it, which
// scroll away as usual. It only writes: the terminal's modes stay as they are, so
// that a program that is killed leaves a sane one.
type screen struct {
	mu     *sync.Mutex // held in every method of view but close
	out    io.Writer
	size   func() (width, height int)
	colour bool
	began  time.Time

	panel   panel
	sources []Pod // of panel.pods
	drawn   []row // what is on the terminal now, the cursor below it
	timer   *time.Timer
	stop    chan struct{}
	wg      sync.WaitGroup
}

func newScreen(mu *sync.Mutex, f *os.File) *screen {
	size := func() (int, int) {
		w, h, err := term.GetSize(int(f.Fd())) //nolint:gosec // a descriptor
		if err != nil || w <= 0 || h <= 0 {
			return 80, 24
		}
		return w, h
	}
	s := &screen{
		mu: mu, out: f, size: size, colour: os.Getenv("NO_COLOR") == "", began: time.Now(),
		timer: time.NewTimer(growth), stop: make(chan struct{}),
	}
	s.wg.Go(s.grow)
	return s
}

// grow draws the panel again while a start is under way, and when the terminal
// has changed.
func (s *screen) grow() {
	changed, forget := watchSize()
	defer forget()
	for {
		select {
		case <-s.timer.C:
		case <-changed:
		case <-s.stop:
			return
		}
		s.mu.Lock()
		s.draw()
		s.mu.Unlock()
	}
}

func (s *screen) status(p Pod, _, now corev1.PodStatus) {
	s.pod(p).status = now
	s.draw()
}

func (s *screen) event(p Pod, e corev1.Event) {
	name := ""
	if len(s.panel.pods) > 1 {
		name = p.Pod().Name + "  "
	}
	s.draw(fmt.Sprintf("%8.3fs  %s%s", time.Since(s.began).Seconds(), name, eventText(e)))
}

func (s *screen) started(Pod) { s.draw() }

// waits does nothing: the bars grow.
func (s *screen) waits(Pod, string) {}

func (s *screen) say(_ Pod, text string) {
	s.panel.notes = append(s.panel.notes, text)
	s.draw()
}

// close draws the panel a last time, with all that is in it.
func (s *screen) close() {
	close(s.stop)
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	notes := s.panel.notes
	s.panel.notes = nil
	s.frame(nil, math.MaxInt)
	for _, n := range notes {
		fmt.Fprintln(s.out, local.Printable(n)) // whole, however long
	}
}

// pod is the view of a pod, made when it is first seen.
func (s *screen) pod(p Pod) *podView {
	i := slices.Index(s.sources, p)
	if i < 0 {
		i = len(s.sources)
		s.sources = append(s.sources, p)
		s.panel.pods = append(s.panel.pods, &podView{pod: p.Pod()})
	}
	return s.panel.pods[i]
}

// draw writes lines above the panel, and the panel.
func (s *screen) draw(above ...string) {
	_, height := s.size()
	limit := height - 1 // the cursor's own row
	if limit > 4*headroom {
		limit -= headroom
	}
	s.frame(above, max(limit, 0))
	if s.growing() {
		s.timer.Reset(growth)
	}
}

// growing tells whether a start is under way.
func (s *screen) growing() bool {
	return slices.ContainsFunc(s.panel.pods, func(v *podView) bool {
		return slices.ContainsFunc(v.spans, func(s local.Span) bool { return s.Name == local.PhaseReady && s.End.IsZero() })
	})
}

// frame replaces what is drawn, in one write.
func (s *screen) frame(above []string, limit int) {
	for i, p := range s.sources {
		s.panel.pods[i].spans = p.Timeline()
	}
	width, _ := s.size()
	rows := s.panel.rows(width, limit, time.Now())
	if len(above)+len(rows)+len(s.drawn) == 0 {
		return
	}
	var b strings.Builder
	b.WriteString("\r")
	if n := occupied(s.drawn, width); n > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", n)
	}
	b.WriteString("\x1b[J")
	for _, text := range above {
		b.WriteString(local.Printable(text) + "\n")
	}
	b.WriteString("\x1b[?7l") // what is wider than it counts must not wrap
	for _, r := range rows {
		b.WriteString(r.paint(s.colour) + "\n")
	}
	b.WriteString("\x1b[?7h")
	_, _ = io.WriteString(s.out, b.String())
	s.drawn = rows
}

// occupied is how many lines of a terminal rows take that were drawn when it may
// have been wider: terminals wrap them then.
func occupied(rows []row, width int) int {
	n := 0
	for _, r := range rows {
		columns := 0
		for _, p := range r {
			columns += utf8.RuneCountInString(strings.TrimRight(p.text, " "))
		}
		n += max(1, (columns+width-1)/width)
	}
	return n
}
