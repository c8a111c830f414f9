package plan

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestComputeInit(t *testing.T) {
	runCompute(t, func() *Input { return withInits(false) }, map[string]computeCase{
		"after the last one all others start":        {func(in *Input) {}, "start a,b,c"},
		"the first one starts first":                 {func(in *Input) { in.drop("i1", "i2", "i3") }, "start i1"},
		"one that runs is waited for":                {func(in *Input) { in.drop("i2", "i3"); in.state(Running, "i1") }, ""},
		"the next one follows":                       {func(in *Input) { in.drop("i2", "i3") }, "start i2"},
		"the last one tells for those that are gone": {func(in *Input) { in.drop("i1", "i2"); in.state(Running, "i3") }, ""},
		"one that was created only is started again": {func(in *Input) { in.state(Created, "i3") }, "start i3"},
		"Always repeats what failed":                 {func(in *Input) { in.exit(137, "i3") }, "start i3"},
		"OnFailure too":                              {func(in *Input) { in.policy(onFailure); in.exit(137, "i3") }, "start i3"},
		"Never ends the pod":                         {func(in *Input) { in.policy(never); in.exit(137, "i3") }, "killPod"},
		"killed for memory is failed, whatever the code": {func(in *Input) {
			in.policy(never)
			in.set("i3", func(c *Container) { c.Reason = "OOMKilled" })
		}, "killPod"},
		"unknown: stopped and repeated": {func(in *Input) { in.state(Unknown, "i3") }, "kill i3+ start i3"},
		"unknown: Never ends the pod":   {func(in *Input) { in.policy(never); in.state(Unknown, "i3") }, "killPod"},
		"its own rule repeats it": {func(in *Input) {
			in.policy(never)
			in.rule("i3", corev1.ContainerRestartRuleActionRestart, 42)
			in.exit(42, "i3")
		}, "start i3"},
		"a new sandbox begins with the first":       {func(in *Input) { in.boxDies() }, "killPod sandbox#1 start i1"},
		"a dead sandbox, failed, Never: the end":    {func(in *Input) { in.policy(never); in.boxDies(); in.exit(2, "i3") }, "killPod"},
		"a dead sandbox, Never, nothing ran: again": {func(in *Input) { in.policy(never); in.boxDies(); in.drop("i1", "i2", "i3") }, "killPod sandbox#1 start i1"},
		"a dead sandbox, failed, OnFailure: again":  {func(in *Input) { in.policy(onFailure); in.boxDies(); in.exit(2, "i3") }, "killPod sandbox#1 start i1"},
		"those of an older sandbox do not count": {func(in *Input) {
			in.Observed.Sandboxes = append(in.Observed.Sandboxes, Sandbox{ID: "box1", Attempt: 1, Ready: true, IPs: []string{"x"}})
			in.boxDies()
		}, "start i1"},
		"once a regular one exists they are not needed": {func(in *Input) { in.drop("i1", "i2", "i3"); in.runAll() }, ""},
		"a debug container does not wait for them": {func(in *Input) {
			in.drop("i2", "i3")
			in.state(Running, "i1")
			in.Pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e"}}}
		}, "start e"},
	})
}

// runAll lets the regular containers run.
func (in *Input) runAll() {
	for i := range in.Pod.Spec.Containers {
		in.Observed.Containers = append(in.Observed.Containers, running(&in.Pod.Spec.Containers[i]))
	}
}

func (in *Input) startupProbe(names ...string) {
	for _, name := range names {
		in.container(name).StartupProbe = &corev1.Probe{PeriodSeconds: 1}
	}
}

func TestComputeSidecars(t *testing.T) {
	runCompute(t, func() *Input { return withInits(true) }, map[string]computeCase{
		"all up: regular ones start":                {func(in *Input) {}, "start a,b,c"},
		"all run":                                   {func(in *Input) { in.runAll() }, ""},
		"the first one starts first":                {func(in *Input) { in.drop("i1", "i2", "i3") }, "start i1"},
		"the next follows one that runs":            {func(in *Input) { in.drop("i2", "i3") }, "start i2"},
		"it waits for the startup probe":            {func(in *Input) { in.drop("i2", "i3"); in.startupProbe("i1") }, ""},
		"and follows its success":                   {func(in *Input) { in.drop("i2", "i3"); in.startupProbe("i1"); in.probe(Startup, true, "i1") }, "start i2"},
		"its failure restarts":                      {func(in *Input) { in.drop("i2", "i3"); in.startupProbe("i1"); in.probe(Startup, false, "i1") }, "kill i1+ start i1"},
		"failed liveness restarts":                  {func(in *Input) { in.runAll(); in.probe(Liveness, false, "i2") }, "kill i2+ start i2"},
		"failed liveness does not hold up the next": {func(in *Input) { in.drop("i2", "i3"); in.probe(Liveness, false, "i1") }, "kill i1+ start i1,i2"},
		"one that ended is restarted":               {func(in *Input) { in.runAll(); in.exit(0, "i1") }, "start i1"},
		"also with Never":                           {func(in *Input) { in.policy(never); in.runAll(); in.exit(1, "i1", "i3") }, "start i1,i3"},
		"also one that is gone":                     {func(in *Input) { in.runAll(); in.drop("i2") }, "start i2"},
		"another image restarts":                    {func(in *Input) { in.runAll(); in.container("i2").Image = "other" }, "kill i2+ start i2"},
		"unknown: stopped and restarted":            {func(in *Input) { in.runAll(); in.state(Unknown, "i2") }, "kill i2+ start i2"},
		"they do not keep a pod alive":              {func(in *Input) { in.policy(never); in.runAll(); in.exit(0, "a", "b", "c") }, "killPod"},
		"nor are they restarted then":               {func(in *Input) { in.policy(never); in.runAll(); in.exit(0, "a", "b", "c", "i1") }, "killPod"},
		"before the pod is initialised a failed one holds up the rest": {
			func(in *Input) { in.drop("i3"); in.exit(1, "i2") }, "start i2"},
	})
}
