package plan

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	podutil "github.com/lifepod/lifepod/pod"
)

// ours are the conditions that this package sets; others are kept.
var ours = []corev1.PodConditionType{
	corev1.PodScheduled, corev1.PodReady, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReadyToStartContainers,
	corev1.AllContainersRestarting, corev1.PodResizeInProgress, corev1.PodResizePending, corev1.DisruptionTarget,
}

func isTerminal(p corev1.PodPhase) bool { return p == corev1.PodSucceeded || p == corev1.PodFailed }

// old is the status decided before, or what the pod came with.
func (s *state) old() *corev1.PodStatus {
	if s.mem.Status != nil {
		return s.mem.Status
	}
	return &s.pod.Status
}

// makeStatus says what the pod is like now. It also learns from it: a pod whose
// containers have run their course begins to end.
func (s *state) makeStatus() corev1.PodStatus {
	if s.mem.Final {
		st := s.mem.Status.DeepCopy()
		st.ObservedGeneration = max(st.ObservedGeneration, s.pod.Generation)
		return *st
	}
	st := corev1.PodStatus{ObservedGeneration: max(s.pod.Generation, s.old().ObservedGeneration), QOSClass: podutil.QOS(s.pod)}
	st.InitContainerStatuses, st.ContainerStatuses, st.EphemeralContainerStatuses = s.containerStatuses()
	s.addresses(&st)
	s.resources(&st)
	s.setPhase(&st)
	s.setConditions(&st)
	st.StartTime = s.old().StartTime.DeepCopy()
	if st.StartTime.IsZero() {
		now := metaTime(s.now)
		st.StartTime = &now
	}
	st.NominatedNodeName, st.ResourceClaimStatuses = s.pod.Status.NominatedNodeName, s.pod.Status.DeepCopy().ResourceClaimStatuses
	if s.mem.Stage == Syncing && isTerminal(s.mem.Phase) {
		s.mem.Stage, s.again = Terminating, true
	}
	s.publishPhase(&st)
	if s.given() && len(s.in.InFlight) == 0 {
		s.finish(&st)
	}
	s.transitionTimes(&st)
	return st
}

// setPhase works out what the containers amount to. It never leaves a terminal
// phase.
func (s *state) setPhase(st *corev1.PodStatus) {
	old := s.mem.Phase
	if old == "" {
		old, s.mem.Reason, s.mem.Message = s.pod.Status.Phase, s.pod.Status.Reason, s.pod.Status.Message
	}
	all := slices.Concat(st.ContainerStatuses, st.InitContainerStatuses)
	now := phase(s.pod, all, s.mem.Stage == Terminated, s.regularActive(), func(name string) bool {
		inst := s.latest(name)
		return inst != nil && s.mem.Restart[name].ID == inst.ID && s.mem.Stage == Syncing
	})
	if isTerminal(old) {
		now = old
	}
	if now != old {
		s.mem.Reason, s.mem.Message = "", ""
	}
	if v := s.mem.Verdict; v != nil {
		now, s.mem.Reason, s.mem.Message = corev1.PodFailed, v.Reason, v.Message
	}
	s.mem.Phase = now
}

// publishPhase shows a terminal phase only when nothing runs any more.
func (s *state) publishPhase(st *corev1.PodStatus) {
	st.Phase, st.Reason, st.Message = s.mem.Phase, s.mem.Reason, s.mem.Message
	if isTerminal(st.Phase) && s.mem.Stage != Terminated {
		st.Phase, st.Reason, st.Message = s.old().Phase, s.old().Reason, s.old().Message
		if st.Phase == "" {
			st.Phase = corev1.PodPending
		}
	}
}

func (s *state) setConditions(st *corev1.PodStatus) {
	for _, c := range s.pod.Status.Conditions {
		if !slices.Contains(ours, c.Type) {
			st.Conditions = append(st.Conditions, c)
		}
	}
	if v := s.mem.Verdict; v != nil && v.Condition != "" && s.mem.Stage == Terminated {
		c := newCondition(s.pod, corev1.DisruptionTarget, true, v.Condition, v.Message)
		st.Conditions = append(st.Conditions, c)
	}
	all := slices.Concat(st.InitContainerStatuses, st.ContainerStatuses)
	st.Conditions = append(st.Conditions, s.sandboxCondition(), InitializedCondition(s.pod, s.old(), all, s.mem.Phase))
	st.Conditions = append(st.Conditions, ReadyCondition(s.pod, st.Conditions, all, s.mem.Phase),
		ContainersReadyCondition(s.pod, all, s.mem.Phase), newCondition(s.pod, corev1.PodScheduled, true, "", ""))
	if podutil.MayRestartAll(&s.pod.Spec) {
		c := s.restartingAllCondition(s.mem.Phase)
		// What is shown of the containers depends on what was said before.
		was := podutil.Condition(s.old(), c.Type)
		s.again = s.again || was != nil && was.Status != c.Status
		st.Conditions = append(st.Conditions, c)
	}
}

// transitionTimes keeps the time of a condition whose status did not change.
func (s *state) transitionTimes(st *corev1.PodStatus) {
	for i := range st.Conditions {
		c := &st.Conditions[i]
		if !slices.Contains(ours, c.Type) {
			continue
		}
		c.LastTransitionTime = metaTime(s.now)
		if was := podutil.Condition(s.old(), c.Type); was != nil && was.Status == c.Status && !was.LastTransitionTime.IsZero() {
			c.LastTransitionTime = was.LastTransitionTime
		}
	}
}

// addresses shows the node's and the pod's. The pod's stay after its sandbox is
// gone, until another one has its own.
func (s *state) addresses(st *corev1.PodStatus) {
	hosts := s.in.Node.HostIPs
	for _, ip := range hosts[:min(len(hosts), 2)] {
		st.HostIPs = append(st.HostIPs, corev1.HostIP{IP: ip})
	}
	if len(hosts) > 0 {
		st.HostIP = hosts[0]
	}
	if len(s.boxes) > 0 && s.boxes[0].Ready {
		s.mem.IPs = orderIPs(s.boxes[0].IPs, hosts)
	}
	ips := s.mem.IPs
	if s.pod.Spec.HostNetwork {
		ips = hosts[:min(len(hosts), 2)]
	}
	for _, ip := range ips {
		st.PodIPs = append(st.PodIPs, corev1.PodIP{IP: ip})
	}
	if len(ips) > 0 {
		st.PodIP = ips[0]
	}
}

// orderIPs takes one address of each family, the node's family first.
func orderIPs(ips, hosts []string) []string {
	v6 := func(ip string) bool { return strings.Contains(ip, ":") }
	primary6 := len(hosts) > 0 && v6(hosts[0])
	var out []string
	for _, want := range []bool{primary6, !primary6} {
		if i := slices.IndexFunc(ips, func(ip string) bool { return v6(ip) == want }); i >= 0 {
			out = append(out, ips[i])
		}
	}
	return out
}

func (s *state) resources(st *corev1.PodStatus) {
	requests, limits := podutil.Requests(s.pod), podutil.Limits(s.pod)
	st.Resources = &corev1.ResourceRequirements{Requests: requests.DeepCopy(), Limits: limits.DeepCopy()}
	st.AllocatedResources = requests.DeepCopy()
}

// metaTime has whole seconds, as the API shows them.
func metaTime(t time.Time) metav1.Time { return metav1.Unix(t.Unix(), 0) }
