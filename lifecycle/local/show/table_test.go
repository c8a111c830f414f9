package show_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/lifecycle/local/show"
)

// READY and RESTARTS are those of kubectl get pods.
func TestTableCounts(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	p := &corev1.Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "prepare"}, {Name: "log", RestartPolicy: &always}},
		Containers:     []corev1.Container{{Name: "app"}},
	}}
	status := corev1.PodStatus{
		InitContainerStatuses: []corev1.ContainerStatus{{Name: "prepare", Ready: true, RestartCount: 4}, {Name: "log", Ready: true, RestartCount: 1}},
		ContainerStatuses:     []corev1.ContainerStatus{{Name: "app", RestartCount: 2}},
	}
	for initialized, want := range map[corev1.ConditionStatus]string{corev1.ConditionFalse: "1/2 7", corev1.ConditionTrue: "1/2 3"} {
		status.Conditions = []corev1.PodCondition{{Type: corev1.PodInitialized, Status: initialized}}
		var b strings.Builder
		if err := show.Table(&b, []local.PodInfo{{Pod: p, Status: status, Driven: true}}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(strings.Fields(b.String()), " "); !strings.Contains(got, " "+want+" yes") {
			t.Errorf("initialized %s: %s, want %s", initialized, got, want)
		}
	}
}

// Why a container did not run is known only from the time before the end.
func TestOutcome(t *testing.T) {
	lost := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "ContainerStatusUnknown"}}
	last := corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{
		{Name: "app", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3, Reason: "Error"}}},
		{Name: "log", State: lost}, {Name: "gone", ContainerID: "x://1", State: lost},
	}}
	before := corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		{Name: "log", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}},
	}}
	const rest = ", gone exited with 137 (ContainerStatusUnknown)"
	if got, want := show.Outcome(before, last), "Failed, app exited with 3 (Error), log did not run (ImagePullBackOff)"+rest; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := show.Outcome(last, last), "Failed, app exited with 3 (Error), log did not run"+rest; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
