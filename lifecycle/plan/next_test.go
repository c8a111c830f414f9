package plan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// happened is a result of an action that succeeded unless f says otherwise.
func happened(a Action, f func(*Result)) []Result {
	r := Result{Action: a, Started: t0, Ended: t0}
	f(&r)
	return []Result{r}
}

func words(p Plan) string {
	var out []string
	for _, a := range p.Actions {
		out = append(out, fmt.Sprintf("%T", a)[len("plan."):])
	}
	for _, e := range p.Events {
		out = append(out, e.Reason)
	}
	return fmt.Sprint(out)
}

// TestImage: what an image check or a pull leads to.
func TestImage(t *testing.T) {
	check, pull := CheckImage{"a", "img"}, PullImage{"a", "img"}
	for name, c := range map[string]struct {
		policy corev1.PullPolicy
		step   StartStep
		result []Result
		want   string
		reason string
	}{
		"there": {corev1.PullIfNotPresent, StepImage, happened(check, func(r *Result) { r.Image.Ref = "ref" }), "[StartContainer Pulled]", "ContainerCreating"},
		"there, but not for this pod": {corev1.PullIfNotPresent, StepImage,
			happened(check, func(r *Result) { r.Image = ImageFacts{Ref: "ref", MustPull: true} }), "[PullImage Pulling]", "ContainerCreating"},
		"not there": {corev1.PullIfNotPresent, StepImage, happened(check, func(*Result) {}), "[PullImage Pulling]", "ContainerCreating"},
		"there, but not for this pod, and never pulled": {corev1.PullNever, StepImage,
			happened(check, func(r *Result) { r.Image = ImageFacts{Ref: "ref", MustPull: true} }), "[CheckImage ErrImageNeverPull Failed]", "ErrImageNeverPull"},
		"a name that is none": {corev1.PullIfNotPresent, StepImage,
			happened(check, func(r *Result) { r.Err = &Failure{"InvalidImageName", "bad"} }), "[CheckImage InspectFailed Failed]", "InvalidImageName"},
		"a store that fails": {corev1.PullIfNotPresent, StepImage,
			happened(check, func(r *Result) { r.Err = &Failure{"", "bad"} }), "[CheckImage InspectFailed Failed]", "ImageInspectError"},
		"pulled": {corev1.PullAlways, StepPull, happened(pull, func(r *Result) { r.Image.Ref = "ref" }), "[StartContainer Pulled]", "ContainerCreating"},
		"not pulled": {corev1.PullAlways, StepPull,
			happened(pull, func(r *Result) { r.Err = &Failure{"", "no route"} }), "[Failed Failed BackOff Failed]", "ErrImagePull"},
		"no registry": {corev1.PullAlways, StepPull,
			happened(pull, func(r *Result) { r.Err = &Failure{"", "RegistryUnavailable: x"} }), "[Failed Failed BackOff Failed]", "RegistryUnavailable"},
		"given up": {corev1.PullAlways, StepPull, happened(pull, func(r *Result) { r.Cancelled = true }), "[PullImage Pulling]", "ContainerCreating"},
	} {
		t.Run(name, func(t *testing.T) {
			in := adopted()
			in.drop("a")
			in.Pod.Spec.Containers[0].ImagePullPolicy = c.policy
			in.Memory.Starting = &Starting{Name: "a", Kind: Regular, Step: c.step}
			in.Finished = c.result
			p := Next(*in)
			if got := words(p); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if got := p.Status.ContainerStatuses[0].State.Waiting.Reason; got != c.reason {
				t.Errorf("reason %s, want %s", got, c.reason)
			}
		})
	}
}

// TestPullBackoff: the messages, and that containers of one image share it.
func TestPullBackoff(t *testing.T) {
	in := adopted()
	in.drop("a")
	in.Pod.Spec.Containers = append(in.Pod.Spec.Containers, corev1.Container{Name: "b", Image: "img"})
	in.Pod.Spec.Containers[0].ImagePullPolicy, in.Pod.Spec.Containers[1].ImagePullPolicy = corev1.PullAlways, corev1.PullAlways
	in.Memory.Starting = &Starting{Name: "a", Kind: Regular, Step: StepPull}
	in.Finished = happened(PullImage{"a", "img"}, func(r *Result) { r.Err = &Failure{"ErrImagePull", "no route"} })
	for range 4 {
		in.Memory = Next(*in).Memory
		in.Finished = nil
	}
	p := Next(*in)
	for _, st := range p.Status.ContainerStatuses {
		if w := st.State.Waiting; w.Reason != "ImagePullBackOff" || w.Message != `Back-off pulling image "img": ErrImagePull: no route` {
			t.Errorf("%s: %+v", st.Name, w)
		}
	}
	if wait := p.WakeAt.Sub(t0); wait != 10*time.Second || len(p.Actions) > 0 {
		t.Errorf("wakes after %v, %v", wait, p.Actions)
	}
}

// crashedTwice is a pod with a sidecar that waits out its second crash.
func crashedTwice() *Input {
	in := adopted()
	c := corev1.Container{Name: "s", Image: "img", ImagePullPolicy: corev1.PullIfNotPresent, RestartPolicy: ref(corev1.ContainerRestartPolicyAlways)}
	in.Pod.Spec.InitContainers = []corev1.Container{c}
	in.Observed.Containers = append(in.Observed.Containers, running(&c))
	in.exit(1, "s")
	in.Memory.Crash = map[string]Backoff{CrashKey(in.Pod, &c): {BackoffEntry: BackoffEntry{Delay: 40 * time.Second, Updated: t0}, For: "older"}}
	return in
}

func TestCrashBackoff(t *testing.T) {
	in := crashedTwice()
	if p := Next(*in); words(p) != "[BackOff]" || p.WakeAt.After(t0) {
		t.Errorf("%s, wakes at %v", words(p), p.WakeAt)
	}
	in.Memory = Next(*in).Memory
	if p := Next(*in); words(p) != "[]" || p.WakeAt.Sub(t0) != 40*time.Second {
		t.Errorf("%s, wakes at %v", words(p), p.WakeAt)
	}
	in.Now = t0.Add(40 * time.Second)
	if p := Next(*in); words(p) != "[CheckImage]" {
		t.Errorf("after 40 s: %s", words(p))
	}

	in = crashedTwice()
	in.exit(1, "a")
	in.Pod.Spec.Containers[0].ImagePullPolicy = corev1.PullIfNotPresent
	if p := Next(*in); !slices.Contains(p.Actions, Action(CheckImage{"a", "img"})) {
		t.Errorf("a sidecar's pause holds up others: %s", words(p))
	}

	in = crashedTwice()
	in.Pod.Spec.InitContainers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: {}}
	if p := Next(*in); words(p) != "[CheckImage]" {
		t.Errorf("with other resources: %s", words(p))
	}

	in = crashedTwice()
	in.exit(1, "s")
	in.set("s", func(c *Container) { c.Attempt, c.ID = 1, "s-1" })
	in.Config.CrashBackoffMax = 20 * time.Second
	in.Now = t0.Add(40 * time.Second)
	p := Next(*in)
	for _, b := range p.Memory.Crash {
		if b.Delay != 20*time.Second {
			t.Errorf("delay %v with a maximum of 20 s", b.Delay)
		}
	}
}

// A maximum below the first delay is that of the first delay too.
func TestCrashBackoffBelowInitial(t *testing.T) {
	in := crashedTwice()
	in.Memory.Crash = nil
	in.Config.CrashBackoffMax = 3 * time.Second
	p := Next(*in)
	if len(p.Memory.Crash) == 0 {
		t.Fatal("no backoff")
	}
	for _, b := range p.Memory.Crash {
		if b.Delay != 3*time.Second {
			t.Errorf("delay %v with a maximum of 3 s", b.Delay)
		}
	}
	if e := (BackoffPolicy{Initial: 5, Max: 1}).Next(BackoffEntry{}, t0, t0); e.Delay != 5 {
		t.Errorf("a policy's first delay is %d, not its initial 5", e.Delay)
	}
}

// TestForced: what we ended to start it again is started whatever its code, and
// its end is not the pod's.
func TestForced(t *testing.T) {
	in := adopted()
	in.policy(onFailure)
	in.exit(0, "a")
	in.Memory.Restart = map[string]Forced{"a": {ID: "a-0"}}
	in.Pod.Spec.Containers[0].ImagePullPolicy = corev1.PullIfNotPresent
	if p := Next(*in); words(p) != "[CheckImage]" || p.Memory.Phase != corev1.PodRunning {
		t.Errorf("%s, phase %s", words(p), p.Memory.Phase)
	}
	in.Memory.Restart = nil
	if p := Next(*in); words(p) != "[StopSandbox]" || p.Memory.Phase != corev1.PodSucceeded {
		t.Errorf("%s, phase %s", words(p), p.Memory.Phase)
	}
}

// TestEvicted: reason, message and condition come with the terminal phase.
func TestEvicted(t *testing.T) {
	in := adopted()
	in.Eviction = &Eviction{Reason: "Evicted", Message: "low on memory", Grace: ref(time.Duration(0)), Condition: "TerminationByKubelet"}
	p := Next(*in)
	if words(p) != "[StopContainer Evicted Killing]" || p.Actions[0].(StopContainer).Timeout != minStop || p.Status.Reason != "" {
		t.Errorf("%s %+v, reason %q", words(p), p.Actions, p.Status.Reason)
	}
	in.Memory, in.Eviction = p.Memory, nil
	in.exit(137, "a")
	in.boxDies()
	in.Memory.Stopped = []string{"box0"}
	p = Next(*in)
	if p.Status.Phase != corev1.PodFailed || p.Status.Reason != "Evicted" || p.Status.Message != "low on memory" {
		t.Errorf("%s %s %s", p.Status.Phase, p.Status.Reason, p.Status.Message)
	}
	if !slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.DisruptionTarget && c.Reason == "TerminationByKubelet" && c.Status == corev1.ConditionTrue
	}) {
		t.Errorf("conditions %+v", p.Status.Conditions)
	}
}
