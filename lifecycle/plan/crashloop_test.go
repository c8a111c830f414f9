package plan_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func simplePod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default", UID: "u1", Generation: 1},
		Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyAlways, TerminationGracePeriodSeconds: ptr(int64(30)),
			Containers: []corev1.Container{{Name: "app", Image: "img", ImagePullPolicy: corev1.PullIfNotPresent}}},
	}
}

// still is a world in which everything works at once.
func still(pod *corev1.Pod) *world {
	w := newWorld(1, pod)
	w.calm, w.instant = true, true
	return w
}

// until runs the world up to a time, or until nothing happens any more.
func (w *world) until(end time.Time) {
	for {
		p := w.plan()
		next := w.next()
		if !p.WakeAt.IsZero() && (next.IsZero() || p.WakeAt.Before(next)) {
			next = p.WakeAt
		}
		if next.IsZero() || next.After(end) {
			return
		}
		if next.After(w.now) {
			w.now = next
		}
		w.happen()
	}
}

// TestCrashLoopHour: a container that ends at once is started at 0, and then
// after 0, 10, 20, 40, 80, 160, 300, 300 … seconds, to the nanosecond.
func TestCrashLoopHour(t *testing.T) {
	w := still(simplePod())
	w.script = func(string, uint32) (time.Duration, int32) { return 0, 1 }
	w.until(epoch.Add(time.Hour))
	want, at := []time.Duration{0}, time.Duration(0)
	for _, pause := range []time.Duration{0, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300} {
		if at += pause * time.Second; at <= time.Hour {
			want = append(want, at)
		}
	}
	var got []time.Duration
	for _, s := range w.starts {
		got = append(got, s.Sub(epoch))
	}
	if !slices.Equal(got, want) {
		t.Errorf("starts at\n%v, want\n%v", got, want)
	}
	for _, fault := range w.check.faults {
		t.Error(fault)
	}
	st := w.lastPlan.Status.ContainerStatuses[0]
	if wait := st.State.Waiting; wait == nil || wait.Reason != "CrashLoopBackOff" ||
		wait.Message != "back-off 5m0s restarting failed container=app pod=p_default(u1)" {
		t.Errorf("state %+v", st.State)
	}
	if want := int32(len(want) - 1); st.RestartCount != want {
		t.Errorf("restart count %d, want %d", st.RestartCount, want)
	}
}

// TestCrashLoopStartsAnew: after ten good minutes the backoff is forgotten.
func TestCrashLoopStartsAnew(t *testing.T) {
	for life, want := range map[time.Duration]time.Duration{600 * time.Second: 40 * time.Second, 601 * time.Second: 0} {
		w := still(simplePod())
		w.script = func(_ string, attempt uint32) (time.Duration, int32) {
			if attempt == 3 {
				return life, 1
			}
			return 0, 1
		}
		w.until(epoch.Add(30*time.Second + life + time.Minute))
		if len(w.starts) < 5 {
			t.Fatalf("only %d starts", len(w.starts))
		}
		if pause := w.starts[4].Sub(w.starts[3].Add(life)); pause != want {
			t.Errorf("after %v: paused %v, want %v", life, pause, want)
		}
	}
}

// TestClockSteps: a pause lasts as long as it should, whatever the wall clock does.
func TestClockSteps(t *testing.T) {
	for name, step := range map[string]time.Duration{"back": -time.Hour, "none": 0} {
		w := still(simplePod())
		w.script = func(string, uint32) (time.Duration, int32) { return 0, 1 }
		w.until(epoch.Add(5 * time.Second)) // in the first pause of 10 s
		w.mem = reload(w.mem)
		w.now = w.now.Add(step)
		p := w.plan()
		if wait := p.WakeAt.Sub(w.now); wait <= 0 || wait > 10*time.Second {
			t.Errorf("clock goes %s: waits %v", name, wait)
		}
		if len(p.Actions) > 0 {
			t.Errorf("clock goes %s: %v", name, p.Actions)
		}
	}
}
