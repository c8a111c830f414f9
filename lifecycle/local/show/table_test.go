package show_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/lifecycle/local/show"
)

func TestTable(t *testing.T) {
	status := corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.2"}
	pods := []local.PodInfo{
		{Pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "mine"}}, Status: status, Driven: true},
		{
			Pod:    &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: corev1.PodSpec{Containers: make([]corev1.Container, 2)}},
			Status: status, Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
			Containers: []local.ContainerInfo{{Name: "app", State: "exited"}, {Name: "app", State: "running"}, {Name: "log", State: "running"}},
		},
	}
	const want = `NAMESPACE  NAME  PHASE    READY  RESTARTS  IP        DRIVEN                              RUNNING
default    mine  Running  0/0    0         10.0.0.2  yes                                 
default    web   Running  0/2    0         10.0.0.2  undriven since 2026-01-02 03:04:05  app,log
`
	var b strings.Builder
	if err := show.Table(&b, pods); err != nil || b.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, b.String(), want)
	}
	b.Reset()
	testutil.Fill(&pods, "\x1b[2J\u009b\a\nforged")
	pods[0].Containers[0].State = "running"
	if err := show.Table(&b, pods); err != nil || strings.ContainsAny(b.String(), "\x1b\u009b\a") || strings.Count(b.String(), "\n") != 2 ||
		strings.Count(b.String(), "^[[2J?^G forged") != 5 {
		t.Errorf("%v: of hostile texts it makes\n%q", err, b.String())
	}
}

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
	waiting := before.ContainerStatuses[0].State.Waiting
	p := aStory("web")
	p.events = append(p.events,
		corev1.Event{Type: "Warning", Reason: "FailedCreatePodSandBox", Message: "no address"},
		corev1.Event{Type: "Warning", Reason: "FailedMount", Message: "no such volume"},
		corev1.Event{Type: "Warning", Reason: "Failed", Message: "no such image", InvolvedObject: corev1.ObjectReference{FieldPath: "spec.containers{log}"}},
		corev1.Event{Type: "Warning", Reason: "MissingClusterDNS", Message: "no server"},
		corev1.Event{Type: "Normal", Reason: "FailedNothing", Message: "fine"},
	)
	for _, c := range []struct {
		before        corev1.PodStatus
		message, want string
	}{
		{before, "Back-off", "log did not run (ImagePullBackOff: Back-off)" + rest},
		{last, "", "log did not run" + rest},
		{before, "", "log did not run (ImagePullBackOff)" + rest + "; FailedMount: no such volume"},
	} {
		waiting.Message = c.message
		if got, want := show.Outcome(t.Context(), p, c.before, last), "Failed, app exited with 3 (Error), "+c.want; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
