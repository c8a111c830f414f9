package local_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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

// What a machine that went down left of a pod whose Run had not returned is swept,
// and is in nobody's way.
func TestPodThatWasNeverBegunIsSwept(t *testing.T) {
	o := options(t)
	dir := filepath.Join(o.Root, "pods", "0a1b")
	for file, content := range map[string]string{
		filepath.Join(dir, "pod.json"): "", filepath.Join(dir, "objects.json"): "",
		filepath.Join(o.Root, "names", "default_one"): "0a1b",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	n := open(t, o)
	defer n.Close()
	h := runManifest(t, n, one("Never", "[exit]"))
	until(t, h, func(s corev1.PodStatus) bool { return s.Phase == corev1.PodSucceeded })
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its directory is there still: %v", err)
	}
	if err := h.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
}
