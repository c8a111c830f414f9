package lifecycletest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/lifecycle"
	"github.com/lifepod/lifepod/lifecycle/lifecycletest"
)

func pod(name string, containers ...corev1.Container) *corev1.Pod {
	grace, links := int64(30), true
	for i := range containers {
		c := &containers[i]
		if c.Image == "" {
			c.Image = "example/" + c.Name + ":1"
		}
		c.ImagePullPolicy = corev1.PullIfNotPresent
		c.TerminationMessagePath = "/dev/termination-log"
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: "uid-1", Generation: 1},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyAlways, Containers: containers, TerminationGracePeriodSeconds: &grace,
			SecurityContext: &corev1.PodSecurityContext{}, EnableServiceLinks: &links,
		},
	}
}

func TestPodRunsAndIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := lifecycletest.New(t, nil)
		p := pod("web", corev1.Container{Name: "app"})
		if err := n.Start(p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if s := n.Last("web"); s.Phase != corev1.PodRunning || !s.ContainerStatuses[0].Ready {
			t.Errorf("status %+v", s)
		}
		if err := n.Delete(p.UID, nil); err != nil {
			t.Fatal(err)
		}
		if err := n.Wait(t.Context(), p.UID); err != nil {
			t.Fatal(err)
		}
		var reasons []string
		for _, e := range n.Events("web") {
			reasons = append(reasons, e.Reason)
		}
		if got := strings.Join(reasons, " "); got != "Pulled Created Started Killing" {
			t.Errorf("events %q", got)
		}
		if s := n.Last("web"); s.Phase != corev1.PodFailed || s.ContainerStatuses[0].State.Terminated.ExitCode != 143 {
			t.Errorf("last status %+v", s)
		}
		boxes, _ := n.Runtime.ListPodSandbox(t.Context(), nil)
		containers, _ := n.Runtime.ListContainers(t.Context(), nil)
		if len(boxes)+len(containers) > 0 {
			t.Errorf("left: %v %v", boxes, containers)
		}
	})
}

// A simulated hour: the first restart is immediate, then the pauses double from
// 10 s to 300 s.
func TestCrashLoopHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		n := lifecycletest.New(t, &lifecycletest.Runtime{Scripts: map[string]lifecycletest.Script{
			"app": {Runs: []lifecycletest.Run{{For: 1, Exit: 1}}},
		}})
		p := pod("crash", corev1.Container{Name: "app"})
		if err := n.Start(p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		var pauses []time.Duration
		last := begin
		for _, e := range n.Events("crash") {
			if e.Reason == "Started" {
				pauses = append(pauses, e.At.Sub(last).Truncate(time.Second))
				last = e.At
			}
		}
		want := []time.Duration{0, 0, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300}
		for i := range want {
			want[i] *= time.Second
			if i >= len(pauses) || pauses[i] != want[i] {
				t.Fatalf("pauses %v, want %v", pauses, want)
			}
		}
		if s := n.Last("crash"); s.ContainerStatuses[0].RestartCount != int32(len(pauses)-1) {
			t.Errorf("restartCount %d after %d starts", s.ContainerStatuses[0].RestartCount, len(pauses))
		}
	})
}

// in puts a runner's files where another one can find them.
func in(dir string) func(*lifecycle.Options) {
	return func(o *lifecycle.Options) { o.Dir = dir }
}
