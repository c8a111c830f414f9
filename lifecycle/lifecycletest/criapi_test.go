package lifecycletest_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	criapi "k8s.io/cri-api/pkg/apis/testing"

	"github.com/lifepod/lifepod/lifecycle"
	"github.com/lifepod/lifepod/lifecycle/lifecycletest"
)

// cri-api's own fakes fit as they are.
var (
	_ lifecycle.Runtime = (*criapi.FakeRuntimeService)(nil)
	_ lifecycle.Images  = (*criapi.FakeImageService)(nil)
)

// fake is a runtime in memory that a whole runner works on.
type fake struct {
	runtime lifecycle.Runtime
	images  lifecycle.Images
	// exit ends the instance of a container that runs; nil where a script does.
	exit func(t *testing.T, container string, code int32)
	// listed says that changes are found by listing.
	listed bool
}

// scripted is our own fake, whose containers know what to do.
func scripted() fake {
	rt := &lifecycletest.Runtime{Scripts: map[string]lifecycletest.Script{
		"prepare": {Runs: []lifecycletest.Run{{For: lifecycletest.Duration(time.Second)}}},
		"app":     {Runs: []lifecycletest.Run{{For: lifecycletest.Duration(5 * time.Second), Exit: 3}, {}}},
	}}
	return fake{runtime: rt, images: rt}
}

// upstream are cri-api's fakes, whose containers run until the test ends them.
func upstream() fake {
	rt, images := criapi.NewFakeRuntimeService(), criapi.NewFakeImageService()
	images.SetFakeImages([]string{"example/app:1", "example/side:1"})
	return fake{rt, images, func(t *testing.T, container string, code int32) {
		t.Helper()
		id := running(t, rt, container)
		rt.Lock()
		defer rt.Unlock()
		c := rt.Containers[id]
		c.State, c.ExitCode, c.FinishedAt = runtimeapi.ContainerState_CONTAINER_EXITED, code, time.Now().UnixNano()
		c.Reason = map[bool]string{true: "Completed", false: "Error"}[code == 0]
	}, true}
}

// running is the id of the container's instance that runs.
func running(t *testing.T, rt lifecycle.Runtime, name string) string {
	t.Helper()
	list, err := rt.ListContainers(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if c.GetMetadata().GetName() == name && c.GetState() == runtimeapi.ContainerState_CONTAINER_RUNNING {
			return c.GetId()
		}
	}
	t.Fatalf("no container %s runs: %v", name, list)
	return ""
}

// One pod's life on every fake: an init container, then Running, a crash, a long
// quiet time, and deletion, with the same events.
func TestPodOnEveryFake(t *testing.T) {
	for name, open := range map[string]func() fake{"ours": scripted, "cri-api's": upstream} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { onFake(t, open()) })
		})
	}
}

func onFake(t *testing.T, f fake) {
	t.Helper()
	var log said
	n := lifecycletest.New(t, nil, func(o *lifecycle.Options) {
		o.Runtime, o.Images = f.runtime, f.images
		o.Log = funcr.New(func(_, args string) { log.add(args) }, funcr.Options{})
	})
	p := pod("web", corev1.Container{Name: "app"}, corev1.Container{Name: "side"})
	p.Spec.InitContainers = []corev1.Container{{Name: "prepare", Image: "example/prepare:1", ImagePullPolicy: corev1.PullAlways}}
	if err := n.Start(p); err != nil {
		t.Fatal(err)
	}
	runs := func(s corev1.PodStatus) bool {
		return len(s.InitContainerStatuses) == 1 && s.InitContainerStatuses[0].State.Running != nil
	}
	soon(t, n, "prepare runs", runs)
	f.end(t, "prepare", 0)
	soon(t, n, "Running and ready", func(s corev1.PodStatus) bool {
		return s.Phase == corev1.PodRunning && allReady(s) && s.PodIP != "" && status(s, "app").RestartCount == 0
	})
	f.end(t, "app", 3)
	soon(t, n, "ready after a crash", func(s corev1.PodStatus) bool {
		c := status(s, "app")
		return allReady(s) && c.RestartCount == 1 && c.LastTerminationState.Terminated.ExitCode == 3
	})

	quiet := len(n.Statuses("web"))
	time.Sleep(10 * time.Minute)
	if got := n.Statuses("web"); len(got) != quiet {
		t.Errorf("the status changed though nothing happened: %+v", got[quiet:])
	}
	if _, driven := n.Status(p.UID); !driven {
		t.Fatalf("the pod is no longer driven; log:\n%s", log.all())
	}

	if err := n.Delete(p.UID, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := n.Wait(ctx, p.UID); err != nil {
		t.Fatal(err)
	}
	boxes, _ := f.runtime.ListPodSandbox(t.Context(), nil)
	containers, _ := f.runtime.ListContainers(t.Context(), nil)
	if len(boxes)+len(containers) > 0 {
		t.Errorf("left: %v %v", boxes, containers)
	}
	checkEvents(t, n)
	if listed := strings.Contains(log.all(), "sends no events"); listed != f.listed {
		t.Errorf("listed: %v; log:\n%s", listed, log.all())
	}
}

func (f fake) end(t *testing.T, container string, code int32) {
	t.Helper()
	if f.exit != nil {
		f.exit(t, container, code)
	}
}

// soon waits for a status.
func soon(t *testing.T, n *lifecycletest.Node, what string, like func(corev1.PodStatus) bool) {
	t.Helper()
	for range 300 {
		if like(n.Last("web")) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("never %s: %+v", what, n.Last("web"))
}

func status(s corev1.PodStatus, name string) corev1.ContainerStatus {
	if i := slices.IndexFunc(s.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.Name == name }); i >= 0 {
		return s.ContainerStatuses[i]
	}
	return corev1.ContainerStatus{}
}

func allReady(s corev1.PodStatus) bool {
	return len(s.ContainerStatuses) == 2 && !slices.ContainsFunc(s.ContainerStatuses, func(c corev1.ContainerStatus) bool { return !c.Ready })
}

// checkEvents counts the events of the pod's life by reason: containers side by
// side have no order.
func checkEvents(t *testing.T, n *lifecycletest.Node) {
	t.Helper()
	got := map[string]int{}
	for _, e := range n.Events("web") {
		got[e.Reason]++
	}
	// prepare, app and side, and app again.
	want := map[string]int{"Pulling": 1, "Pulled": 4, "Created": 4, "Started": 4, "Killing": 2}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

// said is a log.
type said struct {
	mu   sync.Mutex
	text []string
}

func (s *said) add(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, line)
}

func (s *said) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.text, "\n")
}

// Listing without end that shows nothing new is no plan that does not settle.
func TestQuietPodIsListedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := upstream()
		n := lifecycletest.New(t, nil, func(o *lifecycle.Options) { o.Runtime, o.Images = f.runtime, f.images })
		p := pod("web", corev1.Container{Name: "app"})
		if err := n.Start(p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		f.end(t, "app", 1)
		soon(t, n, "started again", func(s corev1.PodStatus) bool { return status(s, "app").RestartCount == 1 })
	})
}

// lateStream is a runtime behind a connection that hears of a subscription
// later than its client believes.
type lateStream struct{ *lifecycletest.Runtime }

func (lateStream) GetContainerEvents(ctx context.Context, _ chan *runtimeapi.ContainerEventResponse, connected func(runtimeapi.RuntimeService_GetContainerEventsClient)) error {
	connected(struct {
		runtimeapi.RuntimeService_GetContainerEventsClient
	}{})
	<-ctx.Done()
	return ctx.Err()
}

func TestExitBeforeTheStreamIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := lateStream{&lifecycletest.Runtime{Scripts: map[string]lifecycletest.Script{
			"app": {Runs: []lifecycletest.Run{{For: lifecycletest.Duration(500 * time.Millisecond), Exit: 1}, {}}},
		}}}
		n := lifecycletest.New(t, nil, func(o *lifecycle.Options) { o.Runtime, o.Images = rt, rt })
		if err := n.Start(pod("web", corev1.Container{Name: "app"})); err != nil {
			t.Fatal(err)
		}
		soon(t, n, "started again", func(s corev1.PodStatus) bool { return status(s, "app").RestartCount == 1 })
	})
}
