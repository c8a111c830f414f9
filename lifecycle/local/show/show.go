package show

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/pod"
)

// Pod is a pod that can be shown; a [local.Handle] is one. Equal values are one
// pod.
type Pod interface {
	Pod() *corev1.Pod
	Status(ctx context.Context) iter.Seq2[corev1.PodStatus, error]
	Events(ctx context.Context) iter.Seq2[corev1.Event, error]
	Timeline() []local.Span
}

// Options choose how it is shown. The zero value is for people.
type Options struct {
	// JSON is for programs: a [Record] a line.
	JSON bool
}

// Show shows pods on one output. Its methods are safe for concurrent use.
type Show struct {
	mu     sync.Mutex
	v      view
	closed sync.Once
}

// view is one way to show things. Its methods are called one at a time, close at
// last.
type view interface {
	status(p Pod, old, now corev1.PodStatus)
	event(p Pod, e corev1.Event)
	// started is called once for a pod: it became Ready, or never will while it is
	// followed.
	started(p Pod)
	// waits is called for a start in which nothing has ended for a while.
	waits(p Pod, text string)
	say(p Pod, text string)
	close()
}

// New shows on out until Close: live if it is a terminal that can move its cursor
// (TERM is neither empty nor dumb), in colours unless NO_COLOR is set.
func New(out io.Writer, o Options) *Show {
	s := &Show{}
	if o.JSON {
		s.v = &records{out}
		return s
	}
	f, _ := out.(*os.File)
	if t := os.Getenv("TERM"); f == nil || t == "" || t == "dumb" || !term.IsTerminal(int(f.Fd())) { //nolint:gosec // a descriptor
		s.v = &lines{out: out, began: time.Now()}
		return s
	}
	s.v = newScreen(&s.mu, f)
	return s
}

// Follow shows what happens to a pod until nothing is left of it or ctx ends;
// what had happened by then is shown.
func (s *Show) Follow(ctx context.Context, p Pod) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for e, err := range p.Events(ctx) {
			if err == nil {
				s.do(func() { s.v.event(p, e) })
			}
		}
	})
	starting, started := context.WithCancel(ctx)
	defer started()
	wg.Go(func() { s.remind(starting, p) })
	var last corev1.PodStatus
	done := false
	for st, err := range p.Status(ctx) {
		if err != nil {
			break
		}
		s.do(func() {
			if s.v.status(p, last, st); isReady(st) && !done {
				s.v.started(p)
				done = true
				started()
			}
		})
		last = st
	}
	if !done {
		s.do(func() { s.v.started(p) })
	}
}

// Say shows a line of the program's own about a pod.
func (s *Show) Say(p Pod, format string, args ...any) {
	s.do(func() { s.v.say(p, fmt.Sprintf(format, args...)) })
}

// Close leaves the terminal as it was, with all that was shown on it. It must be
// called after every Follow has returned.
func (s *Show) Close() { s.closed.Do(s.v.close) }

func (s *Show) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func isReady(s corev1.PodStatus) bool {
	c := pod.Condition(&s, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}
