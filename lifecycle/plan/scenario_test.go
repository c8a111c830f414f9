package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/plan"
)

// story is what happens to the containers of a pod, and what is seen of it.
type story struct {
	w     *world
	lives map[string][]life // by container: one per attempt, the last repeats
	pulls []string          // errors of pulls, in order
	hooks map[string][]hook // by container and kind ("app.postStart")
	lines []string
	seen  map[string]int
	whole bool // with the events of each start
	// live is how long a container lives until its liveness probe fails; zero for ever.
	live        time.Duration
	startErrors []string // reasons, of starts in order
	pullTime    time.Duration
	// brief is the last status line, so that it is told only when it changes.
	brief string
}

type life struct {
	lasts, term time.Duration // lasts 0: until stopped; term: how long after the signal, negative: ignores it
	exit        int32
	reason      string
}

type hook struct {
	takes time.Duration
	fails string
}

const forever = time.Duration(0)

func tell(pod *corev1.Pod) *story {
	s := &story{w: still(pod), lives: map[string][]life{}, hooks: map[string][]hook{}, seen: map[string]int{}}
	s.w.images["img"] = true
	s.w.story = s
	return s
}

func (s *story) linef(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf("%g ", s.w.now.Sub(epoch).Seconds())+fmt.Sprintf(format, args...))
}

func (s *story) next(key string) int { n := s.seen[key]; s.seen[key]++; return n }

func nth[T any](list []T, n int) (v T) {
	if len(list) > 0 {
		v = list[min(n, len(list)-1)]
	}
	return v
}

// planned writes down what a plan does and says.
func (s *story) planned(p plan.Plan) {
	for _, k := range p.Cancel {
		s.linef("cancel %s", k)
	}
	for _, e := range p.Events {
		if !s.whole && (e.Reason == "Pulled" || e.Reason == "Pulling" || e.Reason == "Created" || e.Reason == "Started") {
			continue
		}
		s.linef("  %s %s %s", e.Reason, e.FieldPath, e.Message)
	}
	if b := briefStatus(p.Status); b != s.brief {
		s.brief = b
		s.linef("= %s", b)
	}
	for _, a := range p.Actions {
		switch a := a.(type) {
		case plan.StartContainer:
			s.linef("start %s#%d", a.Name, a.Attempt)
		case plan.StopContainer:
			s.linef("stop %s %v", a.Name, a.Timeout)
		case plan.RunPreStop:
			s.linef("preStop %s %v", a.Name, a.Timeout)
		case plan.RunPostStart:
			s.linef("postStart %s", a.Name)
		case plan.PullImage:
			s.linef("pull %s", a.Container)
		case plan.CreateSandbox:
			s.linef("sandbox#%d", a.Attempt)
		case plan.StopSandbox:
			s.linef("stop sandbox")
		}
	}
}

func briefStatus(st corev1.PodStatus) string {
	parts := []string{string(st.Phase)}
	if st.Reason != "" {
		parts = append(parts, st.Reason)
	}
	for _, list := range [][]corev1.ContainerStatus{st.InitContainerStatuses, st.ContainerStatuses} {
		for _, c := range list {
			parts = append(parts, briefContainer(c))
		}
	}
	return strings.Join(parts, " ")
}

func briefContainer(c corev1.ContainerStatus) string {
	out := c.Name + ":"
	switch st := c.State; {
	case st.Running != nil:
		out += "running"
	case st.Terminated != nil:
		out += fmt.Sprintf("%d/%s", st.Terminated.ExitCode, st.Terminated.Reason)
	case st.Waiting != nil:
		out += st.Waiting.Reason
	}
	if c.RestartCount > 0 {
		out += fmt.Sprintf("#%d", c.RestartCount)
	}
	if last := c.LastTerminationState.Terminated; last != nil {
		out += fmt.Sprintf("(last %d)", last.ExitCode)
	}
	if c.Ready {
		out += "!"
	}
	return out
}

// delete asks for the pod's end after d, with that grace.
func (s *story) delete(after, grace time.Duration) {
	s.w.until(epoch.Add(after))
	s.w.now = epoch.Add(after)
	at := s.w.now
	if s.w.deletion != nil {
		at = s.w.deletion.At
	}
	s.linef("delete %v", grace)
	s.w.deletion = &plan.Deletion{At: at, Grace: grace}
}

// is compares what was told with want, line by line.
func (s *story) is(t *testing.T, want string) {
	t.Helper()
	got := strings.Join(s.lines, "\n")
	want = strings.TrimSpace(strings.ReplaceAll(want, "\n\t\t", "\n"))
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, f := range s.w.check.faults {
		t.Error(f)
	}
}

func (s *story) run(c *instance) {
	l := nth(s.lives[c.Name], int(c.Attempt))
	if c.exit, c.reason, c.termAfter = l.exit, l.reason, l.term; l.lasts != forever {
		c.ends = s.w.now.Add(l.lasts)
	}
}

func (s *story) begin(j *job) {
	switch a := j.action.(type) {
	case plan.RunPostStart:
		j.ends = s.w.now.Add(nth(s.hooks[a.Name+".postStart"], s.seen[a.Name+".postStart"]).takes)
	case plan.RunPreStop:
		j.ends = s.w.now.Add(min(nth(s.hooks[a.Name+".preStop"], s.seen[a.Name+".preStop"]).takes, a.Timeout))
	case plan.PullImage:
		j.ends = s.w.now.Add(s.pullTime)
	}
}

func (s *story) hookFails(j *job) *plan.Failure {
	key := ""
	switch a := j.action.(type) {
	case plan.RunPostStart:
		key = a.Name + ".postStart"
	case plan.RunPreStop:
		key = a.Name + ".preStop"
	default:
		return nil
	}
	h := nth(s.hooks[key], s.next(key))
	if a, ok := j.action.(plan.RunPreStop); ok && h.takes > a.Timeout {
		h.fails = "out of time"
	}
	if h.fails == "" {
		return nil
	}
	return fail("", h.fails)
}

// termCode is how a container ends that heeds its stop signal.
func (w *world) termCode() int32 {
	if w.story != nil || w.rng.IntN(2) == 0 {
		return 143
	}
	return 0
}
