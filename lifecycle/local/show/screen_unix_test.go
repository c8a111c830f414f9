//go:build unix

package show_test

import (
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/term"

	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/lifecycle/local/show"
)

// On a terminal of any size there is one panel at the end, whole, below all
// events, and the terminal is as it was.
func TestScreen(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 10}, {200, 3}, {80, 1}, {20, 100}, {8, 5}} {
		for _, names := range [][]string{{"web"}, {"web", "db", "log"}} {
			t.Run(fmt.Sprintf("%dx%d %d pods", size[0], size[1], len(names)), func(t *testing.T) {
				tm := openTerminal(t, size[0], size[1])
				before, err := term.GetState(int(tm.tty.Fd()))
				if err != nil {
					t.Fatal(err)
				}
				out := show.New(tm.tty, show.Options{})
				for _, name := range names {
					pod := aStory(name)
					out.Follow(t.Context(), pod)
					out.Say(pod, "pod %s is gone: Succeeded", name)
				}
				out.Close()
				if after, err := term.GetState(int(tm.tty.Fd())); err != nil || !reflect.DeepEqual(before, after) {
					t.Errorf("the terminal's modes were %+v and are %+v, %v", before, after, err)
				}
				tm.hangUp()
				checkScreen(t, tm.screen, names)
			})
		}
	}
}

func checkScreen(t *testing.T, s *screen, names []string) {
	t.Helper()
	text := s.text()
	if s.wrapOff || s.styled || s.escape != "" || s.x != 0 {
		t.Errorf("the terminal is left with wrapping off %v, a style %v, half a sequence %q, in column %d", s.wrapOff, s.styled, s.escape, s.x)
	}
	squeeze := strings.NewReplacer("\n", "", " ", "").Replace // long lines wrap anywhere
	flat := squeeze(text)
	for _, name := range names {
		for i := range 4 {
			if want := fmt.Sprintf("event %d of %s", i, name); strings.Count(flat, squeeze(want)) != 1 {
				t.Errorf("it shows %q %d times", want, strings.Count(flat, squeeze(want)))
			}
		}
		if want := "pod " + name + " is gone: Succeeded"; strings.Count(flat, squeeze(want)) != 1 {
			t.Errorf("it shows %q %d times", want, strings.Count(flat, squeeze(want)))
		}
	}
	for _, row := range []string{"Name: ", "Contain", "Conditi", "Timelin"} { // on the narrowest, too
		if n := strings.Count("\n"+text, "\n"+row); n != len(names) {
			t.Errorf("there are %d rows %q for %d pods", n, row, len(names))
		}
	}
	if t.Failed() {
		t.Logf("the terminal shows\n%s", text)
	}
}

// While a start is under way its bars grow though nothing happens, and the panel
// follows the terminal's size.
func TestScreenGrows(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	tm := openTerminal(t, 80, 24)
	pod := aStory("web")
	pod.hold = make(chan struct{})
	pod.statuses = pod.statuses[:2]
	pod.spans = []local.Span{{Name: local.PhaseReady, Start: time.Now()}}
	out := show.New(tm.tty, show.Options{})
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		out.Follow(t.Context(), pod)
	}()
	var first string
	tm.await(func(text string) bool {
		first = bar(text)
		return first != ""
	})
	tm.await(func(text string) bool { return bar(text) != "" && bar(text) != first })
	tm.mu.Lock()
	tm.screen.width = 60
	tm.mu.Unlock()
	tm.resize(t, 60, 24)
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGWINCH); err != nil { // as the kernel does to the session
		t.Fatal(err)
	}
	tm.await(func(text string) bool { return bar(text) != "" && len([]rune(bar(text))) <= 60 })
	close(pod.hold)
	<-followed
	out.Close()
	tm.hangUp()
	if strings.Contains(tm.raw.String(), "m\x1b") || tm.screen.styled || strings.Contains(tm.raw.String(), "\x1b[1m") {
		t.Errorf("with NO_COLOR it paints: %q", tm.raw.String())
	}
}

// bar is the line of the way to Ready.
func bar(text string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "  Ready ") && strings.Contains(line, " ms") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// A terminal that can move no cursor gets lines.
func TestDumbTerminal(t *testing.T) {
	for _, name := range []string{"dumb", ""} {
		t.Setenv("TERM", name)
		tm := openTerminal(t, 80, 24)
		pod := aStory("web")
		out := show.New(tm.tty, show.Options{})
		out.Follow(t.Context(), pod)
		out.Close()
		tm.hangUp()
		if text := tm.raw.String(); strings.Contains(text, "\x1b") || !strings.Contains(text, "web  Status: Running") {
			t.Errorf("TERM=%q: it shows %q", name, text)
		}
	}
}
