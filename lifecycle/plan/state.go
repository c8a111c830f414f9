package plan

import (
	"cmp"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// state is one planning: the input, indexed, and the plan in the making.
type state struct {
	in  Input
	pod *corev1.Pod
	now time.Time
	mem Memory // a copy: maps may be written to
	out Plan

	boxes    []Sandbox              // newest first
	all      map[string][]Container // by name, newest first
	inFlight map[Key]Action
	verdicts map[probeKey]bool
	// again asks for another plan at once: this one changed what the next status
	// says.
	again bool
}

type probeKey struct {
	id   string
	kind ProbeKind
}

func open(in Input) *state {
	s := &state{in: in, pod: in.Pod, now: in.Now, mem: clone(in.Memory),
		all: map[string][]Container{}, inFlight: map[Key]Action{}, verdicts: map[probeKey]bool{}}
	s.boxes = slices.SortedFunc(slices.Values(in.Observed.Sandboxes), func(a, b Sandbox) int {
		return cmp.Or(cmp.Compare(b.Attempt, a.Attempt), b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	for _, c := range in.Observed.Containers {
		s.all[c.Name] = append(s.all[c.Name], c)
	}
	for _, list := range s.all {
		slices.SortFunc(list, func(a, b Container) int {
			return cmp.Or(cmp.Compare(b.Attempt, a.Attempt), b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
		})
	}
	for _, f := range in.InFlight {
		s.inFlight[f.Action.Key()] = f.Action
	}
	for _, v := range in.Probes {
		s.verdicts[probeKey{v.ContainerID, v.Kind}] = v.OK
	}
	s.rewind()
	s.noteEnds()
	return s
}

// clone copies what a plan may write to. The status is replaced, never written
// to.
func clone(m Memory) Memory {
	m.Attempts, m.Restart = maps.Clone(m.Attempts), maps.Clone(m.Restart)
	m.Failures, m.Kills, m.Retry = maps.Clone(m.Failures), maps.Clone(m.Kills), maps.Clone(m.Retry)
	m.Crash, m.Pull, m.Ended = maps.Clone(m.Crash), maps.Clone(m.Pull), maps.Clone(m.Ended)
	m.Stopped, m.IPs = slices.Clone(m.Stopped), slices.Clone(m.IPs)
	if m.Starting != nil {
		st := *m.Starting
		m.Starting = &st
	}
	return m
}

// put sets m[k], making the map if need be.
func put[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[k] = v
}

// hidden says that an instance is still being started: its hook runs, or its
// start has not been reported. To the decision and the status it is not there yet.
func (s *state) hidden(c Container) bool {
	if k, ok := s.mem.Kills[c.ID]; ok && k.Why == KillPostStart && s.mem.Stage == Syncing && c.State == Running {
		return true // its start failed, and it is still being stopped
	}
	st := s.mem.Starting
	if st == nil || st.Name != c.Name || c.Attempt != st.Attempt {
		return false
	}
	_, busy := s.inFlight[StartContainer{Name: c.Name}.Key()]
	return st.ContainerID == c.ID || st.Step == StepStart && busy
}

// seen are the instances of a container, newest first, without a hidden one.
func (s *state) seen(name string) []Container {
	list := s.all[name]
	if len(list) > 0 && s.hidden(list[0]) {
		return list[1:]
	}
	return list
}

// latest is the newest instance, nil if there is none.
func (s *state) latest(name string) *Container {
	if list := s.seen(name); len(list) > 0 {
		return &list[0]
	}
	return nil
}

// active is the newest instance in the newest sandbox that is ready.
func (s *state) active(name string) *Container {
	if len(s.boxes) == 0 || !s.boxes[0].Ready {
		return nil
	}
	for i, c := range s.seen(name) {
		if c.SandboxID == s.boxes[0].ID {
			return &s.seen(name)[i]
		}
	}
	return nil
}

func (s *state) find(id string) *Container {
	for _, list := range s.all {
		for i := range list {
			if list[i].ID == id {
				return &list[i]
			}
		}
	}
	return nil
}

// alive are the instances that may run, in the order of the spec.
func (s *state) alive() []Container {
	var out []Container
	for c := range podutil.Containers(&s.pod.Spec, podutil.All) {
		for _, i := range s.all[c.Name] {
			if s.mayRun(i) {
				out = append(out, i)
			}
		}
	}
	return out
}

func (s *state) kind(name string) ContainerKind {
	c, k := podutil.Find(&s.pod.Spec, name)
	switch {
	case k == podutil.Init && podutil.IsSidecar(c):
		return Sidecar
	case k == podutil.Init:
		return Init
	case k == podutil.Ephemeral:
		return Ephemeral
	}
	return Regular
}

func (s *state) busy(k Key) bool { _, ok := s.inFlight[k]; return ok }

// do adds an action, unless its key is taken or it has to wait after a failure.
func (s *state) do(a Action) {
	k := a.Key()
	if s.busy(k) {
		return
	}
	if r, ok := s.mem.Retry[retryKey(a)]; ok && s.now.Before(r.Until) {
		s.wake(r.Until)
		return
	}
	s.inFlight[k] = a
	s.out.Actions = append(s.out.Actions, a)
}

func (s *state) cancel(k Key) {
	if s.busy(k) && !slices.Contains(s.out.Cancel, k) {
		s.out.Cancel = append(s.out.Cancel, k)
	}
}

// wake asks to be planned again at t at the latest.
func (s *state) wake(t time.Time) {
	if s.out.WakeAt.IsZero() || t.Before(s.out.WakeAt) {
		s.out.WakeAt = t
	}
}
