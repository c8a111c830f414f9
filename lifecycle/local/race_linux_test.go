package local_test

import (
	"context"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// A stop is heard also while the agent of the same process only begins to drive
// the pod.
func TestStopWhileAdopting(t *testing.T) {
	o := options(t)
	first := open(t, o)
	h := runManifest(t, first, one("Always", "[health, \":9090\"]"))
	until(t, h, func(s corev1.PodStatus) bool { return s.Phase == corev1.PodRunning })
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := open(t, o)
	defer second.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		if err := second.Agent(ctx); err != nil {
			t.Error(err)
		}
	})
	for driven := false; !driven; {
		pods, err := second.List(soon(t))
		if err != nil || len(pods) != 1 {
			t.Fatalf("List = %+v, %v", pods, err)
		}
		driven = pods[0].Driven
	}
	if err := second.Stop(soon(t), "one", nil); err != nil {
		t.Fatal(err)
	}
	if pods, err := second.List(t.Context()); err != nil || len(pods) != 0 {
		t.Errorf("left %+v, %v", pods, err)
	}
}
