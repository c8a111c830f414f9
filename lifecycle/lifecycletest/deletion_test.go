package lifecycletest_test

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/lifecycletest"
)

const forever = lifecycletest.Duration(time.Hour)

func execHook(words ...string) *corev1.LifecycleHandler {
	return &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: words}}
}

// gone deletes the pod a second into its life and returns how long it took.
func gone(t *testing.T, rt *lifecycletest.Runtime, p *corev1.Pod) (took time.Duration, n *lifecycletest.Node) {
	t.Helper()
	n = lifecycletest.New(t, rt)
	if err := n.Start(p); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	began := time.Now()
	if err := n.Delete(p.UID, nil); err != nil {
		t.Fatal(err)
	}
	if err := n.Wait(t.Context(), p.UID); err != nil {
		t.Fatal(err)
	}
	boxes, _ := rt.ListPodSandbox(t.Context(), nil)
	if len(boxes) > 0 {
		t.Errorf("left %v", boxes)
	}
	return time.Since(began), n
}

// A deletion does not wait for what is under way: it is cancelled.
func TestDeletionCancelsWorkInFlight(t *testing.T) {
	absent := false
	hooked := pod("hooked", corev1.Container{Name: "app", Lifecycle: &corev1.Lifecycle{PostStart: execHook("hook")}})
	withInit := pod("with-init", corev1.Container{Name: "app"})
	withInit.Spec.InitContainers = pod("", corev1.Container{Name: "init"}).Spec.Containers
	for name, c := range map[string]struct {
		pod    *corev1.Pod
		script map[string]lifecycletest.Script
	}{
		"a stalled pull": {pod("pulling", corev1.Container{Name: "app"}), map[string]lifecycletest.Script{
			"app": {Image: lifecycletest.Image{Present: &absent, Pulls: []lifecycletest.Pull{{For: forever}}}},
		}},
		"a postStart hook that never ends": {hooked, map[string]lifecycletest.Script{
			"app": {Exec: map[string][]lifecycletest.Exec{"hook": {{For: forever}}}},
		}},
		"an init container": {withInit, map[string]lifecycletest.Script{"init": {Runs: []lifecycletest.Run{{For: forever}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt := &lifecycletest.Runtime{Scripts: c.script, ImageOf: func(string) string { return "app" }}
				if took, _ := gone(t, rt, c.pod); took > 100*time.Millisecond {
					t.Errorf("the deletion took %v", took)
				}
			})
		})
	}
}

// All preStop hooks begin at once.
func TestPreStopHooksRunTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		scripts := map[string]lifecycletest.Script{}
		var containers []corev1.Container
		for _, name := range []string{"a", "b", "c"} {
			containers = append(containers, corev1.Container{Name: name, Lifecycle: &corev1.Lifecycle{PreStop: execHook("stop")}})
			scripts[name] = lifecycletest.Script{Exec: map[string][]lifecycletest.Exec{"stop": {{For: lifecycletest.Duration(time.Second)}}}}
		}
		took, n := gone(t, &lifecycletest.Runtime{Scripts: scripts}, pod("hooks", containers...))
		if took.Truncate(time.Second) != time.Second {
			t.Errorf("three hooks of a second took %v", took)
		}
		if s := n.Last("hooks"); s.Phase != corev1.PodFailed {
			t.Errorf("phase %s", s.Phase)
		}
	})
}

// A second, shorter deletion shortens the stop that is running.
func TestShorterGraceShortens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := lifecycletest.New(t, &lifecycletest.Runtime{Scripts: map[string]lifecycletest.Script{
			"app": {Runs: []lifecycletest.Run{{IgnoreTERM: true}}},
		}})
		p := pod("slow", corev1.Container{Name: "app"})
		if err := n.Start(p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		began := time.Now()
		if err := n.Delete(p.UID, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		three := 3 * time.Second
		if err := n.Delete(p.UID, &three); err != nil {
			t.Fatal(err)
		}
		if err := n.Wait(t.Context(), p.UID); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("it took %v of 30 s, though 3 s were asked for after 3 s", took)
		}
	})
}

// A runner that is closed leaves the containers; the next one goes on with them
// and with what was remembered.
func TestNextRunnerGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &lifecycletest.Runtime{Scripts: map[string]lifecycletest.Script{
			"app": {Runs: []lifecycletest.Run{{For: lifecycletest.Duration(5 * time.Second), Exit: 1}, {}}},
		}}
		dir := t.TempDir()
		first := lifecycletest.New(t, rt, in(dir))
		p := pod("web", corev1.Container{Name: "app"})
		if err := first.Start(p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // the container ends and nobody sees it
		second := lifecycletest.New(t, rt, in(dir))
		if _, err := second.Adopt(p.UID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		s := second.Last("web")
		if s.Phase != corev1.PodRunning || s.ContainerStatuses[0].RestartCount != 1 || s.ContainerStatuses[0].State.Running == nil {
			t.Errorf("status %+v", s)
		}
	})
}
