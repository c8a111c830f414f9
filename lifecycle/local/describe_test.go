package local

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/internal/testutil"
)

// anInfo is a pod that nobody drives.
func anInfo() PodInfo {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return PodInfo{
		Pod: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", Labels: map[string]string{"b": "2", "a": "1"}},
			Spec: corev1.PodSpec{
				NodeName:       "here",
				InitContainers: []corev1.Container{{Name: "prepare", Image: "x:1"}},
				Containers:     []corev1.Container{{Name: "app", Image: "x:1", Command: []string{"run"}, Args: []string{"-v", "all"}}},
			},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, HostIP: "192.0.2.1", PodIP: "10.0.0.2", QOSClass: corev1.PodQOSBurstable,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady", Message: "not yet"}},
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: "app", ContainerID: "lifepod://1", ImageID: "x@1", RestartCount: 2,
				State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 20s"}},
				LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
					Reason: "Error", ExitCode: 3, FinishedAt: metav1.NewTime(since),
				}},
			}},
		},
		Since: since,
	}
}

func TestDescribeUndriven(t *testing.T) {
	const want = `Name:         web
Namespace:    default
Node:         here/192.0.2.1
Labels:       a=1,b=2
Annotations:  <none>
Status:       Running
Driven:       no: undriven since 2026-01-02 03:04:05; what follows was last known then
IP:           10.0.0.2
QoS Class:    Burstable
Init Containers:
  prepare:
    Image:  x:1
Containers:
  app:
    Image:          x:1
    Command:        run
    Args:           -v all
    Container ID:   lifepod://1
    Image ID:       x@1
    State:          Waiting
      Reason:       CrashLoopBackOff
      Message:      back-off 20s
    Last State:     Terminated
      Reason:       Error
      Exit Code:    3
      Finished:     Fri, 02 Jan 2026 03:04:05 +0000
    Ready:          False
    Restart Count:  2
Conditions (last known 2026-01-02 03:04:05, nobody looks since):
  Type   Status  Reason              Message
  Ready  False   ContainersNotReady  not yet
Events:  <none>
`
	var b strings.Builder
	if err := describe(&b, anInfo(), nil); err != nil || b.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, b.String(), want)
	}
	b.Reset()
	driven := anInfo()
	driven.Driven = true
	if err := describe(&b, driven, nil); err != nil || !strings.Contains(b.String(), "\nConditions:\n") || strings.Contains(b.String(), "Driven") {
		t.Errorf("driven, it is described as\n%s", b.String())
	}
}

// Whatever a manifest, an image or a container put into a text, it moves no cursor
// and makes no line.
func TestDescribeIsPrintable(t *testing.T) {
	const hostile, shown = "\x1b[2J\a\v\u009b1m\nName: forged", "^[[2J^G^K?1m Name: forged"
	var s corev1.ContainerState
	testutil.Fill(&s, hostile)
	for name, state := range map[string]corev1.ContainerState{"Running": {Running: s.Running}, "Terminated": {Terminated: s.Terminated}, "Waiting": {Waiting: s.Waiting}} {
		var info PodInfo
		var events []corev1.Event
		testutil.Fill(&info, hostile)
		testutil.Fill(&events, hostile)
		for _, list := range [][]corev1.ContainerStatus{info.Status.ContainerStatuses, info.Status.InitContainerStatuses} {
			list[0].State, list[0].LastTerminationState = state, corev1.ContainerState{Terminated: s.Terminated}
		}
		var b strings.Builder
		if err := describe(&b, info, events); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(b.String(), "\x1b\a\v\u009b") || strings.Contains(b.String(), "\nName: forged") || strings.Count(b.String(), shown) < 30 {
			t.Errorf("%s: it writes\n%q", name, b.String())
		}
	}
}

func TestOnHold(t *testing.T) {
	always, never := corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever
	deadline := int64(60)
	for want, spec := range map[string]corev1.PodSpec{
		"":                             {RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "app", RestartPolicy: &never}}},
		"spec.restartPolicy Always":    {RestartPolicy: corev1.RestartPolicyAlways},
		"spec.restartPolicy OnFailure": {RestartPolicy: corev1.RestartPolicyOnFailure},
		"spec.activeDeadlineSeconds":   {RestartPolicy: corev1.RestartPolicyNever, ActiveDeadlineSeconds: &deadline},
		"log.restartPolicy Always log.startupProbe": {RestartPolicy: corev1.RestartPolicyNever, InitContainers: []corev1.Container{
			{Name: "log", RestartPolicy: &always, StartupProbe: &corev1.Probe{}},
		}},
		"a.livenessProbe b.readinessProbe b.restartPolicyRules": {RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{
			{Name: "b", ReadinessProbe: &corev1.Probe{}, RestartPolicy: &never, RestartPolicyRules: make([]corev1.ContainerRestartRule, 1)},
			{Name: "a", LivenessProbe: &corev1.Probe{}},
		}},
	} {
		if got := strings.Join(onHold(&spec), " "); got != want {
			t.Errorf("on hold are %q, want %q", got, want)
		}
	}
}
