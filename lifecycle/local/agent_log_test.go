package local

import (
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The log has a line for each end of a container and each phase, and none for what
// it has said.
func TestAgentLog(t *testing.T) {
	var lines []string
	log := funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
	end := func(id string, code int32) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ContainerID: id, ExitCode: code, Reason: "Error", FinishedAt: metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
		}}
	}
	status := func(phase corev1.PodPhase, state, last corev1.ContainerState) corev1.PodStatus {
		return corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{{Name: "app", State: state, LastTerminationState: last}}}
	}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	var last corev1.PodStatus
	for _, st := range []corev1.PodStatus{
		status(corev1.PodRunning, running, corev1.ContainerState{}),
		status(corev1.PodRunning, end("x://1", 3), corev1.ContainerState{}),
		status(corev1.PodRunning, running, end("x://1", 3)),
		status(corev1.PodRunning, running, end("x://2", 4)), // its end was never the state
		status(corev1.PodFailed, end("x://3", 5), end("x://2", 4)),
	} {
		logChanges(log, last, st)
		last = st
	}
	const want = `"level"=0 "msg"="phase of the pod" "phase"="Running"
"level"=0 "msg"="container ended" "container"="app" "exitCode"=3 "reason"="Error" "finished"="2026-01-02T03:04:05Z"
"level"=0 "msg"="container ended" "container"="app" "exitCode"=4 "reason"="Error" "finished"="2026-01-02T03:04:05Z"
"level"=0 "msg"="container ended" "container"="app" "exitCode"=5 "reason"="Error" "finished"="2026-01-02T03:04:05Z"
"level"=0 "msg"="phase of the pod" "phase"="Failed"`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("it logs\n%s\nwant\n%s", got, want)
	}
}
