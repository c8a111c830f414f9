package fakes

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/admission/defaults"
	"github.com/lifepod/lifepod/lifecycle/lifecycletest"
)

// A job that crashes for ever is given up after its third restart: 0 + 10 + 20 s
// of backoff, which pass in a moment.
func TestGivesUpOnACrashLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := lifecycletest.New(t, &lifecycletest.Runtime{Scripts: map[string]lifecycletest.Script{
			"job": {Runs: []lifecycletest.Run{{For: lifecycletest.Duration(time.Second), Exit: 1}}},
		}})
		pod := &corev1.Pod{}
		pod.Name, pod.Namespace, pod.UID = "job", "default", "1"
		pod.Spec.Containers = []corev1.Container{{Name: "job", Image: "example/job:1"}}
		defaults.Pod(pod)
		if err := n.Start(pod); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if got := Verdict(n.Last("job")); got != "wait" {
			t.Errorf("after 10 s: %s", got)
		}
		time.Sleep(time.Minute)
		if got := Verdict(n.Last("job")); got != "give up" {
			t.Errorf("after 70 s: %s", got)
		}
	})
}
