package local_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/lifecycle/local"
)

// The same pod, the same runner, on containerd through k8s.io/cri-client: it
// becomes Ready, a container that is killed is started again, and nothing is left
// of it.
func TestWebPodOnContainerd(t *testing.T) {
	d, o := onContainerd(t)
	if d == nil {
		return
	}
	before := traces(t, d)
	rt := &heard{Runtime: d.Runtime}
	o.CRI.Runtime = rt
	var said lines
	o.Log = funcr.New(func(_, args string) { said.add(args) }, funcr.Options{})

	n := open(t, o)
	defer n.Close()
	h := runFile(t, n, "../../examples/pods/web.yaml")
	st := until(t, h, ready)
	if st.PodIP == "" {
		t.Errorf("status %+v", st)
	}
	checkLog(t, n)
	checkCgroups(t, o, h.Pod())
	running := added(before, traces(t, d))
	for _, kind := range []string{"process", "mount", "link", "file"} { // what is found now must be missed later
		if !slices.ContainsFunc(running, func(s string) bool { return strings.HasPrefix(s, kind) }) {
			t.Errorf("no %s of a pod that runs: %v", kind, running)
		}
	}

	web := containerStatus(st, "web")
	kill(t, pid(t, d, web.ContainerID))
	restarted(t, h, web, 137)
	if !rt.told(runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT, web.ContainerID) {
		t.Error("no event told of the killed container")
	}

	if err := h.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
	if streams := rt.streams(); streams.begun != 1 || streams.over != 0 || said.contain("sends no events") {
		t.Errorf("the runner was not driven by one stream of events: %+v; log:\n%s", streams, said.all())
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	checkGone(t, d, before)
}

// The runtime is away for a while; what happened meanwhile is made good, and the
// next agent takes the pod over from what containerd says of it.
func TestContainerdAwayAndNextAgent(t *testing.T) {
	d, o := onContainerd(t)
	if d == nil {
		return
	}
	before := traces(t, d)
	first := open(t, o)
	defer first.Close()
	h := runManifest(t, first, one("Always", `[health, ":9090"]`))
	st := until(t, h, ready)
	main := containerStatus(st, "main")
	process := pid(t, d, main.ContainerID)
	if err := d.Kill(); err != nil {
		t.Fatal(err)
	}
	kill(t, process)
	if err := d.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	st = restarted(t, h, main, 137, 255) // containerd may not know
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
	if got, want := containerStatus(driven(t, second), "main"), containerStatus(st, "main"); got.ContainerID != want.ContainerID || got.RestartCount != 1 {
		t.Errorf("the container did not go on: %+v, want %+v", got, want)
	}
	if err := second.Stop(soon(t), "one", nil); err != nil {
		t.Fatal(err)
	}
	checkGone(t, d, before)
}

// restarted waits until the container runs again and is ready, and checks how its
// end is told.
func restarted(t *testing.T, h *local.Handle, was corev1.ContainerStatus, codes ...int32) corev1.PodStatus {
	t.Helper()
	st := until(t, h, func(s corev1.PodStatus) bool { return containerStatus(s, was.Name).RestartCount == 1 && ready(s) })
	for _, c := range st.ContainerStatuses {
		if c.Name != was.Name {
			if c.RestartCount != 0 {
				t.Errorf("container %s was started again, too", c.Name)
			}
			continue
		}
		if last := c.LastTerminationState.Terminated; last == nil || !slices.Contains(codes, last.ExitCode) || last.ContainerID != was.ContainerID {
			t.Errorf("the killed container is told as %+v", c.LastTerminationState)
		}
	}
	return st
}

// driven waits until the node's one pod is, and returns its status.
func driven(t *testing.T, n *local.Node) corev1.PodStatus {
	t.Helper()
	for range 500 {
		if pods, err := n.List(t.Context()); err == nil && len(pods) == 1 && pods[0].Driven {
			return pods[0].Status
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the pod is not driven")
	return corev1.PodStatus{}
}
