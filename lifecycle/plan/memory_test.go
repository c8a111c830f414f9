package plan

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// adopted is good with one container only, as a new agent finds it.
func adopted() *Input {
	in := good()
	in.Pod.Spec.Containers = in.Pod.Spec.Containers[:1]
	in.drop("b", "c")
	return in
}

func (in *Input) postStart() {
	in.Pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 1}}}
}

func endedBefore(name string, code int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, ContainerID: name + "-9", RestartCount: 5,
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, ContainerID: name + "-9"}}}
}

// TestAdopt: what a new agent makes of what the old one left.
func TestAdopt(t *testing.T) {
	starting := func(step StartStep, id string, hooked bool) *Starting {
		return &Starting{Name: "a", Kind: Regular, Step: step, ContainerID: id, Hooked: hooked}
	}
	for name, c := range map[string]struct {
		mutate func(*Input)
		want   Action // nil: none
		state  string
	}{
		"a running container is left alone":           {func(in *Input) {}, nil, "a:running!"},
		"one whose start was not reported is not new": {func(in *Input) { in.Memory.Starting = starting(StepStart, "", false) }, nil, "a:running!"},
		"its hook is run":                             {func(in *Input) { in.postStart(); in.Memory.Starting = starting(StepStart, "", false) }, RunPostStart{"a", "a-0"}, "a:ContainerCreating"},
		"an interrupted hook is run again":            {func(in *Input) { in.postStart(); in.Memory.Starting = starting(StepPostStart, "a-0", true) }, RunPostStart{"a", "a-0"}, "a:ContainerCreating"},
		"but not of a container that ended meanwhile": {func(in *Input) {
			in.postStart()
			in.exit(1, "a")
			in.Memory.Starting = starting(StepPostStart, "a-0", true)
		}, CheckImage{"a", "img"}, "a:1/"},
		"one that was created only is started anew": {func(in *Input) { in.state(Created, "a"); in.Memory.Starting = starting(StepStart, "", false) }, CheckImage{"a", "img"}, "a:"},
		"an image is looked for again":              {func(in *Input) { in.drop("a"); in.Memory.Starting = starting(StepImage, "", false) }, CheckImage{"a", "img"}, "a:ContainerCreating"},
		"a pull is begun again":                     {func(in *Input) { in.drop("a"); in.Memory.Starting = starting(StepPull, "", false) }, PullImage{"a", "img"}, "a:ContainerCreating"},
		"a start is begun again":                    {func(in *Input) { in.drop("a"); in.Memory.Starting = starting(StepStart, "", false) }, StartContainer{Name: "a", Kind: Regular, SandboxID: "box0"}, "a:ContainerCreating"},
		"a stop is asked for again, with what is left": {func(in *Input) {
			in.Memory.Kills = map[string]Kill{"a-0": {Name: "a", Since: t0.Add(-20 * time.Second), Grace: 30 * time.Second, StopAt: t0.Add(-20 * time.Second), Timeout: 30 * time.Second}}
		}, StopContainer{"a", "a-0", 10 * time.Second}, "a:running!"},
	} {
		t.Run(name, func(t *testing.T) {
			in := adopted()
			in.Pod.Spec.Containers[0].ImagePullPolicy = corev1.PullIfNotPresent
			c.mutate(in)
			p := Next(*in)
			switch {
			case c.want == nil && len(p.Actions) > 0, c.want != nil && (len(p.Actions) != 1 || p.Actions[0] != c.want):
				t.Errorf("%+v, want %+v", p.Actions, c.want)
			}
			if got := brief(p.Status.ContainerStatuses[0]); got != c.state {
				t.Errorf("state %q, want %q", got, c.state)
			}
		})
	}
}

func brief(c corev1.ContainerStatus) string {
	out := c.Name + ":"
	switch {
	case c.State.Running != nil:
		out += "running"
	case c.State.Waiting != nil:
		out += c.State.Waiting.Reason
	case c.State.Terminated != nil:
		out += string(rune('0'+c.State.Terminated.ExitCode)) + "/"
	}
	if c.Ready {
		out += "!"
	}
	return out
}

// TestRemembered: what was published once is not taken back.
func TestRemembered(t *testing.T) {
	in := adopted()
	in.Memory.Status = &corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{endedBefore("a", 1)}}
	in.Memory.Phase, in.Memory.Stage = corev1.PodFailed, Terminated
	in.Observed.Sandboxes, in.Memory.Stopped = []Sandbox{{ID: "box0"}}, []string{"box0"}
	in.exit(0, "a")
	p := Next(*in)
	if p.Status.Phase != corev1.PodFailed {
		t.Errorf("phase %s", p.Status.Phase)
	}
	if st := p.Status.ContainerStatuses[0]; st.RestartCount != 5 || st.State.Terminated.ExitCode != 1 {
		t.Errorf("an older instance shows: %+v", st)
	}

	in = adopted()
	in.Memory.Status = &corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Name: "a", RestartCount: 5,
		ContainerID: "a-9", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}}
	if st := Next(*in).Status.ContainerStatuses[0]; st.RestartCount != 5 {
		t.Errorf("restart count falls to %d", st.RestartCount)
	}

	in = adopted()
	in.drop("a")
	in.Observed.Attempts = map[string]uint32{"a": 4}
	p = Next(*in)
	in.Memory, in.Finished = p.Memory, []Result{{Action: p.Actions[0], Image: ImageFacts{Ref: "ref"}}}
	p = Next(*in)
	if a, ok := p.Actions[0].(StartContainer); !ok || a.Attempt != 4 || a.ImageRef != "ref" {
		t.Errorf("after logs 0 to 3: %+v", p.Actions)
	}
}

// TestPhaseStays: a terminal phase is not left, whatever the containers say.
func TestPhaseStays(t *testing.T) {
	in := adopted()
	in.Memory.Phase, in.Memory.Stage = corev1.PodSucceeded, Terminating
	in.exit(1, "a")
	if p := Next(*in); p.Memory.Phase != corev1.PodSucceeded {
		t.Errorf("phase %s", p.Memory.Phase)
	}
}
