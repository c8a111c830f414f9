package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func ref[T any](v T) *T { return &v }

// good is a pod of three containers that run in a ready sandbox.
func good() *Input {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default", UID: "u1"}}
	pod.Spec.RestartPolicy = corev1.RestartPolicyAlways
	pod.Spec.TerminationGracePeriodSeconds = ref(int64(30))
	in := &Input{Now: t0, Pod: pod, Observed: Observed{Cgroup: Present, Volumes: Present,
		Sandboxes: []Sandbox{{ID: "box0", Ready: true, CreatedAt: t0, IPs: []string{"10.0.0.7"}, NetworkReported: true}}}}
	for _, name := range []string{"a", "b", "c"} {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: name, Image: "img"})
		in.Observed.Containers = append(in.Observed.Containers, running(&pod.Spec.Containers[len(pod.Spec.Containers)-1]))
	}
	return in
}

// withInits is good, before its regular containers: three init containers have
// succeeded.
func withInits(sidecars bool) *Input {
	in := good()
	in.Observed.Containers = nil
	for _, name := range []string{"i1", "i2", "i3"} {
		c := corev1.Container{Name: name, Image: "img"}
		if sidecars {
			c.RestartPolicy = ref(corev1.ContainerRestartPolicyAlways)
		}
		in.Pod.Spec.InitContainers = append(in.Pod.Spec.InitContainers, c)
		inst := running(&c)
		if !sidecars {
			inst.State = Exited
		}
		in.Observed.Containers = append(in.Observed.Containers, inst)
	}
	return in
}

func running(c *corev1.Container) Container {
	return Container{ID: c.Name + "-0", Name: c.Name, SandboxID: "box0", SpecHash: podutil.HashContainer(c), State: Running, CreatedAt: t0, StartedAt: t0}
}

// set changes the instance of a container.
func (in *Input) set(name string, f func(*Container)) {
	for i := range in.Observed.Containers {
		if in.Observed.Containers[i].Name == name {
			f(&in.Observed.Containers[i])
		}
	}
}

func (in *Input) exit(code int32, names ...string) {
	for _, name := range names {
		in.set(name, func(c *Container) { c.State, c.ExitCode, c.FinishedAt = Exited, code, t0 })
	}
}

func (in *Input) state(st ContainerState, names ...string) {
	for _, name := range names {
		in.set(name, func(c *Container) { c.State = st })
	}
}

func (in *Input) drop(names ...string) {
	in.Observed.Containers = slices.DeleteFunc(in.Observed.Containers, func(c Container) bool { return slices.Contains(names, c.Name) })
}

func (in *Input) probe(kind ProbeKind, ok bool, names ...string) {
	for _, name := range names {
		in.Probes = append(in.Probes, ProbeVerdict{ContainerID: name + "-0", Kind: kind, OK: ok})
	}
}

func (in *Input) container(name string) *corev1.Container {
	for _, list := range [][]corev1.Container{in.Pod.Spec.InitContainers, in.Pod.Spec.Containers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

func (in *Input) policy(p corev1.RestartPolicy) { in.Pod.Spec.RestartPolicy = p }
func (in *Input) boxDies()                      { in.Observed.Sandboxes[0].Ready = false }

// brief writes actions on one line.
func (a actions) brief() string {
	var out []string
	if a.killPod {
		out = append(out, "killPod")
	}
	if a.createSandbox {
		out = append(out, fmt.Sprintf("sandbox#%d", a.attempt))
	}
	var kills, starts []string
	for _, k := range a.kills {
		kills = append(kills, k.inst.Name+map[bool]string{true: "+"}[k.restart])
	}
	for _, x := range a.starts {
		starts = append(starts, x.name)
	}
	slices.Sort(kills)
	if len(kills) > 0 {
		out = append(out, "kill "+strings.Join(kills, ","))
	}
	if len(starts) > 0 {
		out = append(out, "start "+strings.Join(starts, ","))
	}
	for i, c := range a.reset {
		if i == 0 {
			out = append(out, "reset")
		}
		out = append(out, c.ID)
	}
	return strings.Join(out, " ")
}

type computeCase struct {
	mutate func(*Input)
	want   string
}

func runCompute(t *testing.T, base func() *Input, cases map[string]computeCase) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := base()
			c.mutate(in)
			if got := open(*in).compute().brief(); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

const (
	always    = corev1.RestartPolicyAlways
	onFailure = corev1.RestartPolicyOnFailure
	never     = corev1.RestartPolicyNever
)

func TestComputeRegular(t *testing.T) {
	runCompute(t, good, map[string]computeCase{
		"all is well":                              {func(in *Input) {}, ""},
		"a new pod gets a sandbox":                 {func(in *Input) { in.Observed = Observed{} }, "killPod sandbox#0 start a,b,c"},
		"Always restarts what ended":               {func(in *Input) { in.exit(0, "a"); in.exit(111, "b") }, "start a,b"},
		"OnFailure restarts what failed":           {func(in *Input) { in.policy(onFailure); in.exit(0, "a"); in.exit(111, "b") }, "start b"},
		"Never restarts nothing":                   {func(in *Input) { in.policy(never); in.exit(0, "a"); in.exit(111, "b") }, ""},
		"Never ends the pod with its last one":     {func(in *Input) { in.policy(never); in.exit(0, "a", "b", "c") }, "killPod"},
		"OnFailure ends the pod when all are well": {func(in *Input) { in.policy(onFailure); in.exit(0, "a", "b", "c") }, "killPod"},
		"a dead sandbox is replaced":               {func(in *Input) { in.boxDies() }, "killPod sandbox#1 start a,b,c"},
		"a dead sandbox: success is not repeated": {func(in *Input) { in.policy(onFailure); in.boxDies(); in.exit(0, "a"); in.exit(1, "b") },
			"killPod sandbox#1 start b,c"},
		"a dead sandbox ends a Never pod": {func(in *Input) { in.policy(never); in.boxDies(); in.exit(1, "a", "b", "c") }, "killPod"},
		"a dead sandbox of a Never pod that never had a container is replaced": {
			func(in *Input) { in.policy(never); in.boxDies(); in.drop("a", "b", "c") }, "killPod sandbox#1 start a,b,c"},
		"a dead sandbox of a pod that is done is not replaced": {func(in *Input) { in.policy(onFailure); in.boxDies(); in.exit(0, "a", "b", "c") }, "killPod"},
		"two ready sandboxes are both replaced": {func(in *Input) {
			in.Observed.Sandboxes = append(in.Observed.Sandboxes, Sandbox{ID: "box1", Attempt: 1, Ready: true, IPs: []string{"10.0.0.8"}})
		}, "killPod sandbox#2 start a,b,c"},
		"a ready sandbox that is not the newest is replaced": {func(in *Input) {
			in.Observed.Sandboxes = append(in.Observed.Sandboxes, Sandbox{ID: "box1", Attempt: 1})
		}, "killPod sandbox#2 start a,b,c"},
		"a sandbox without address is replaced": {func(in *Input) { in.Observed.Sandboxes[0].IPs = nil }, "killPod sandbox#1 start a,b,c"},
		"no address is needed on the host's network": {func(in *Input) {
			in.Observed.Sandboxes[0].IPs, in.Observed.Sandboxes[0].HostNetwork, in.Pod.Spec.HostNetwork = nil, true, true
		}, ""},
		"nor when the runtime tells none":                 {func(in *Input) { in.Observed.Sandboxes[0].IPs, in.Observed.Sandboxes[0].NetworkReported = nil, false }, ""},
		"another network mode needs another sandbox":      {func(in *Input) { in.Pod.Spec.HostNetwork = true }, "killPod sandbox#1 start a,b,c"},
		"another image restarts the container":            {func(in *Input) { in.container("b").Image = "other" }, "kill b+ start b"},
		"another image restarts it whatever the policy":   {func(in *Input) { in.policy(never); in.container("b").Image = "other" }, "kill b+ start b"},
		"an instance of unknown spec is left alone":       {func(in *Input) { in.set("b", func(c *Container) { c.SpecHash = 0 }); in.container("b").Image = "x" }, ""},
		"failed liveness restarts":                        {func(in *Input) { in.probe(Liveness, false, "b") }, "kill b+ start b"},
		"passed liveness does not":                        {func(in *Input) { in.probe(Liveness, true, "b") }, ""},
		"failed liveness with Never only kills":           {func(in *Input) { in.policy(never); in.probe(Liveness, false, "b") }, "kill b"},
		"failed liveness of all with Never ends the pod":  {func(in *Input) { in.policy(never); in.probe(Liveness, false, "a", "b", "c") }, "killPod"},
		"failed startup restarts":                         {func(in *Input) { in.probe(Startup, false, "b") }, "kill b+ start b"},
		"failed readiness does nothing":                   {func(in *Input) { in.probe(Readiness, false, "b") }, ""},
		"an unknown container is stopped first":           {func(in *Input) { in.state(Unknown, "b") }, "kill b+ start b"},
		"one that was created and never ran is restarted": {func(in *Input) { in.state(Created, "b") }, "start b"},
		"what we ended is started whatever its code": {func(in *Input) {
			in.policy(onFailure)
			in.exit(0, "a")
			in.Memory.Restart = map[string]Forced{"a": {ID: "a-0"}}
		}, "start a"},
		"one that is gone is started": {func(in *Input) { in.drop("b") }, "start b"},
	})
}

func TestComputeRules(t *testing.T) {
	runCompute(t, good, map[string]computeCase{
		"its own policy counts": {func(in *Input) {
			in.policy(never)
			in.container("a").RestartPolicy = ref(corev1.ContainerRestartPolicyAlways)
			in.container("b").RestartPolicy = ref(corev1.ContainerRestartPolicyOnFailure)
			in.exit(0, "a", "b")
		}, "start a"},
		"its own rule counts": {func(in *Input) { in.rule("a", corev1.ContainerRestartRuleActionRestart, 42); in.exit(42, "a") }, "start a"},
		"its own policy counts for probes": {func(in *Input) {
			in.container("a").RestartPolicy = ref(corev1.ContainerRestartPolicyNever)
			in.probe(Liveness, false, "a")
		}, "kill a"},
		"a rule does not count for probes": {func(in *Input) {
			in.rule("a", corev1.ContainerRestartRuleActionRestart, 137)
			in.probe(Liveness, false, "a")
		}, "kill a"},
		"an end restarts all: who asked for it is removed last": {func(in *Input) {
			in.rule("a", corev1.ContainerRestartRuleActionRestartAllContainers, 42)
			in.exit(42, "a")
		}, "reset b-0 c-0 a-0"},
		"a debug container is started beside the others": {func(in *Input) {
			in.Pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e"}}}
		}, "start e"},
		"a debug container is started once": {func(in *Input) {
			in.Pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e"}}}
			in.Observed.Containers = append(in.Observed.Containers, Container{ID: "e-0", Name: "e", SandboxID: "box0", State: Exited})
		}, ""},
	})
}

// rule gives a container the policy Never and one rule.
func (in *Input) rule(name string, action corev1.ContainerRestartRuleAction, codes ...int32) {
	c := in.container(name)
	c.RestartPolicy = ref(corev1.ContainerRestartPolicyNever)
	c.RestartPolicyRules = []corev1.ContainerRestartRule{{Action: action,
		ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: codes}}}
}
