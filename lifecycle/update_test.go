package lifecycle_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/lifecycle"
	"github.com/lifepod/lifepod/lifecycle/lifecycletest"
)

func updatable() *corev1.Pod {
	grace, links := int64(5), true
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "u", Generation: 1},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyAlways, SecurityContext: &corev1.PodSecurityContext{}, EnableServiceLinks: &links,
			TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{
				{Name: "app", Image: "example/app:1", ImagePullPolicy: corev1.PullIfNotPresent},
				{Name: "other", Image: "example/other:1", ImagePullPolicy: corev1.PullIfNotPresent},
			},
		},
	}
}

// A new image restarts its container and no other; a deadline that was set while
// the pod ran ends it; the next runner knows both.
func TestUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := lifecycletest.New(t, nil)
		p := updatable()
		if err := n.Start(p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		p = p.DeepCopy()
		p.Generation, p.Spec.Containers[0].Image = 2, "example/app:2"
		if err := n.Update(p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		for i, want := range []string{"example/app:2", "example/other:1"} {
			st := n.Last("web").ContainerStatuses[i]
			if st.Image != want || st.RestartCount != int32(1-i) || st.State.Running == nil {
				t.Errorf("container %+v, want image %s", st, want)
			}
		}
		if g := n.Last("web").ObservedGeneration; g != 2 {
			t.Errorf("observedGeneration %d", g)
		}
		rec, err := lifecycle.ReadRecord(n.Dir + "/u")
		if err != nil || rec.Pod.Spec.Containers[0].Image != "example/app:2" {
			t.Errorf("on disk: %+v, %v", rec, err)
		}
		p = p.DeepCopy()
		deadline := int64(8)
		p.Spec.ActiveDeadlineSeconds = &deadline
		if err := n.Update(p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		if s := n.Last("web"); s.Phase != corev1.PodFailed || s.Reason != "DeadlineExceeded" {
			t.Errorf("after the deadline: %s %s", s.Phase, s.Reason)
		}
	})
}

func TestUpdateRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := lifecycletest.New(t, nil)
		p := updatable()
		deadline := int64(100)
		p.Spec.ActiveDeadlineSeconds = &deadline
		p.Spec.Tolerations = []corev1.Toleration{{Key: "a"}}
		if err := n.Start(p); err != nil {
			t.Fatal(err)
		}
		for what, change := range map[string]func(*corev1.PodSpec){
			"command":          func(s *corev1.PodSpec) { s.Containers[0].Command = []string{"x"} },
			"container":        func(s *corev1.PodSpec) { s.Containers = s.Containers[:1] },
			"later deadline":   func(s *corev1.PodSpec) { d := int64(101); s.ActiveDeadlineSeconds = &d },
			"no deadline":      func(s *corev1.PodSpec) { s.ActiveDeadlineSeconds = nil },
			"fewer toleration": func(s *corev1.PodSpec) { s.Tolerations = nil },
			"grace":            func(s *corev1.PodSpec) { g := int64(1); s.TerminationGracePeriodSeconds = &g },
		} {
			q := p.DeepCopy()
			change(&q.Spec)
			if err := n.Update(q); !errors.Is(err, lifecycle.ErrImmutable) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := n.Update(p); err != nil {
			t.Errorf("no change: %v", err)
		}
	})
}

// A probe that flips for ever is news each time, not a plan that does not settle.
func TestFlappingProbeSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := make([]lifecycletest.Exec, 400)
		for i := range answers {
			answers[i].Exit = i % 2
		}
		n := lifecycletest.New(t, &lifecycletest.Runtime{Scripts: map[string]lifecycletest.Script{
			"app": {Exec: map[string][]lifecycletest.Exec{"ready": answers}},
		}})
		p := updatable()
		p.Spec.Containers[0].ReadinessProbe = &corev1.Probe{
			PeriodSeconds: 1, SuccessThreshold: 1, FailureThreshold: 1,
			ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"ready"}}},
		}
		if err := n.Start(p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if _, driven := n.Status(p.UID); !driven || len(n.Statuses("web")) < 200 {
			t.Errorf("driven %t, %d statuses", driven, len(n.Statuses("web")))
		}
	})
}
