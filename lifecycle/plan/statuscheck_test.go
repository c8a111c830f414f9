package plan_test

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/plan"
	podutil "github.com/lifepod/lifepod/pod"
)

func isTrue(st *corev1.PodStatus, t corev1.PodConditionType) bool {
	c := podutil.Condition(st, t)
	return c != nil && c.Status == corev1.ConditionTrue
}

func ended(p corev1.PodPhase) bool { return p == corev1.PodSucceeded || p == corev1.PodFailed }

// status checks one status against the one before and in itself.
func (c *checker) status(st *corev1.PodStatus) {
	if isTrue(st, corev1.PodReady) && !isTrue(st, corev1.ContainersReady) {
		c.faultf("Ready without ContainersReady")
	}
	if isTrue(st, corev1.ContainersReady) {
		c.allUp(st)
	}
	if ended(st.Phase) {
		c.terminal(st)
	}
	c.ready(st)
	for _, cond := range st.Conditions {
		if cond.LastTransitionTime.IsZero() {
			c.faultf("condition %s has no time", cond.Type)
		}
	}
	if c.last == nil {
		return
	}
	if ended(c.last.Phase) && st.Phase != c.last.Phase {
		c.faultf("phase goes from %s to %s", c.last.Phase, st.Phase)
	}
	if !c.last.StartTime.Equal(st.StartTime) {
		c.faultf("start time changes")
	}
	for _, cond := range st.Conditions {
		was := podutil.Condition(c.last, cond.Type)
		if was != nil && (was.Status == cond.Status) != was.LastTransitionTime.Equal(&cond.LastTransitionTime) && was.Status == cond.Status {
			c.faultf("condition %s: its time changes without its status", cond.Type)
		}
		if was != nil && was.Status != cond.Status && cond.LastTransitionTime.Unix() != c.w.now.Unix() {
			c.faultf("condition %s: its status changes without its time", cond.Type)
		}
	}
	for _, now := range slices.Concat(st.InitContainerStatuses, st.ContainerStatuses) {
		if was := podutil.Status(slices.Concat(c.last.InitContainerStatuses, c.last.ContainerStatuses), now.Name); was != nil && now.RestartCount < was.RestartCount {
			c.faultf("restart count of %s falls from %d to %d", now.Name, was.RestartCount, now.RestartCount)
		}
	}
}

// ready checks that what has a readiness probe is ready only once it said so.
func (c *checker) ready(st *corev1.PodStatus) {
	for _, v := range c.w.verdicts {
		if v.Kind == plan.Readiness && v.OK {
			c.said["fake://"+v.ContainerID] = true
		}
	}
	for ctr := range podutil.Containers(&c.w.pod.Spec, podutil.Main) {
		s := podutil.Status(slices.Concat(st.InitContainerStatuses, st.ContainerStatuses), ctr.Name)
		if ctr.ReadinessProbe != nil && s.Ready && !c.said[s.ContainerID] {
			c.faultf("%s is ready before its probe says so", ctr.Name)
		}
	}
}

func (c *checker) allUp(st *corev1.PodStatus) {
	for ctr, kind := range podutil.Containers(&c.w.pod.Spec, podutil.Main) {
		if kind == podutil.Init && !podutil.IsSidecar(ctr) {
			continue
		}
		s := podutil.Status(slices.Concat(st.InitContainerStatuses, st.ContainerStatuses), ctr.Name)
		if s == nil || !s.Ready || s.Started == nil || !*s.Started || s.State.Running == nil {
			c.faultf("ContainersReady, but %s is %s", ctr.Name, encode(s))
		}
	}
}

// terminal checks what a terminal phase promises: nothing runs, and every end is
// the one that the runtime saw.
func (c *checker) terminal(st *corev1.PodStatus) {
	if n := c.running(); n > 0 {
		c.faultf("phase %s while %d containers run", st.Phase, n)
	}
	for _, s := range slices.Concat(st.InitContainerStatuses, st.ContainerStatuses) {
		end := s.State.Terminated
		if code, known := c.ends[s.ContainerID]; known && (end == nil || end.ExitCode != code) {
			c.faultf("phase %s, but %s shows %s, not exit %d", st.Phase, s.Name, encode(s.State), code)
		}
		if st.Phase == corev1.PodSucceeded && podutil.Status(st.ContainerStatuses, s.Name) != nil && (end == nil || end.ExitCode != 0) {
			c.faultf("Succeeded with %s at %s", s.Name, encode(s.State))
		}
	}
}

func (c *checker) probes(in plan.Input, p plan.Plan) {
	for ctr := range podutil.Containers(&c.w.pod.Spec, podutil.Main) {
		s := podutil.Status(slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses), ctr.Name)
		if ctr.ReadinessProbe == nil || s.State.Running == nil || !*s.Started {
			continue
		}
		if !slices.ContainsFunc(p.Probes, func(x plan.ProbeSpec) bool {
			return x.Kind == plan.Readiness && "fake://"+x.ContainerID == s.ContainerID
		}) {
			c.faultf("%s runs, and nothing probes whether it is ready", ctr.Name)
		}
	}
	for _, spec := range p.Probes {
		inst := c.w.find(spec.ContainerID)
		if inst == nil || inst.State != plan.Running {
			c.faultf("probes %s, which does not run", spec.ContainerID)
		}
		if in.Deletion != nil && spec.Kind != plan.Readiness {
			c.faultf("%s probe of a pod that is being deleted", spec.Kind)
		}
		s := podutil.Status(slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses), spec.Container)
		if started := s != nil && s.Started != nil && *s.Started; started == (spec.Kind == plan.Startup) {
			c.faultf("%s probe of %s, whose started is %v", spec.Kind, spec.Container, started)
		}
	}
}
