package local_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/pod"
)

// demoProgram is built once for all tests of the package.
var demoProgram = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "demo")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "demo")
	if pre := os.Getenv("LIFEPOD_DEMO"); pre != "" { // in the VM there is no compiler
		return os.ReadFile(pre)
	}
	cmd := exec.Command("go", "build", "-o", out, "../../examples/pods/demo")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return msg, err
	}
	return os.ReadFile(out)
})

// options are a root of the test's own, with the demo image within reach. What
// the test leaves on the machine is found at its end.
func options(t *testing.T) local.Options {
	t.Helper()
	o, _ := optionsWith(t)
	return o
}

// optionsWith are options with the registry that serves the image.
func optionsWith(t *testing.T) (local.Options, *imagetest.Registry) {
	t.Helper()
	testutil.RequireRoot(t)
	program, err := demoProgram()
	if err != nil {
		t.Fatalf("build the demo program: %v\n%s", err, program)
	}
	img := imagetest.Image{Layers: []imagetest.Layer{imagetest.Program("demo", program)}}
	img.Config.Config.Entrypoint = []string{"/demo"}
	registry := &imagetest.Registry{}
	if _, err := registry.Add("demo:v1", img); err != nil {
		t.Fatal(err)
	}
	host, stop, err := registry.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	o := local.Options{Root: t.TempDir(), Run: shortDir(t), NodeName: "test-node", SupervisorIdle: 50 * time.Millisecond}
	o.Images.Client.Mirrors = map[string]string{"demo.lifepod.example": host}
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{o.Root, o.Run}, Names: []string{local.RootID(o.Root)}})
	return o, registry
}

// shortDir is for sockets, whose paths must be short.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "lpt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func open(t *testing.T, o local.Options) *local.Node {
	t.Helper()
	n, err := local.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// soon bounds what a test waits for.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func runFile(t *testing.T, n *local.Node, file string) *local.Handle {
	t.Helper()
	manifest, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return runManifest(t, n, string(manifest))
}

func runManifest(t *testing.T, n *local.Node, manifest string) *local.Handle {
	t.Helper()
	pods, others, err := local.Decode([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Apply(t.Context(), others...); err != nil {
		t.Fatal(err)
	}
	h, err := n.Run(t.Context(), pods[0])
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// until waits for a status that f likes, and shows the events if there is none.
func until(t *testing.T, h *local.Handle, f func(corev1.PodStatus) bool) corev1.PodStatus {
	t.Helper()
	var last corev1.PodStatus
	for st, err := range h.Status(soon(t)) {
		if last = st; err == nil && f(st) {
			return st
		}
	}
	var said []string
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for e := range h.Events(ctx) {
		said = append(said, e.Reason+": "+e.Message)
	}
	t.Fatalf("it never came; last status %+v\nevents:\n%s", last, strings.Join(said, "\n"))
	return last
}

func ready(s corev1.PodStatus) bool {
	c := pod.Condition(&s, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

func TestWebPod(t *testing.T) {
	n := open(t, options(t))
	defer n.Close()
	h := runFile(t, n, "../../examples/pods/web.yaml")
	st := until(t, h, ready)
	if st.Phase != corev1.PodRunning || st.PodIP == "" || st.QOSClass != corev1.PodQOSBurstable {
		t.Errorf("status %+v", st)
	}
	var log strings.Builder
	if err := n.Logs(t.Context(), "web", local.LogOptions{Container: "web"}, &log, &log); err != nil {
		t.Fatal(err)
	}
	if want := "Hello from lifepod, I am web: serving /shared on :8080"; !strings.Contains(log.String(), want) {
		t.Errorf("log %q lacks %q", log.String(), want)
	}
	if err := h.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
	var last corev1.PodStatus
	for s := range h.Status(t.Context()) {
		last = s
	}
	if last.Phase != corev1.PodSucceeded {
		t.Errorf("last phase %s", last.Phase)
	}
	for _, c := range last.ContainerStatuses {
		if c.State.Terminated == nil || c.State.Terminated.ExitCode != 0 {
			t.Errorf("container %s ended as %+v", c.Name, c.State)
		}
	}
}

const onePod = `
apiVersion: v1
kind: Pod
metadata: {name: one}
spec:
  restartPolicy: RESTART
  terminationGracePeriodSeconds: 5
  containers:
  - name: main
    image: demo.lifepod.example/demo:v1
    args: ARGS
`

func one(restart, args string) string {
	return strings.NewReplacer("RESTART", restart, "ARGS", args).Replace(onePod)
}

func TestExitCodesBecomePhases(t *testing.T) {
	n := open(t, options(t))
	defer n.Close()
	for args, want := range map[string]corev1.PodPhase{"[exit]": corev1.PodSucceeded, "[crash]": corev1.PodFailed} {
		h := runManifest(t, n, one("Never", args))
		st := until(t, h, func(s corev1.PodStatus) bool { return s.Phase == corev1.PodSucceeded || s.Phase == corev1.PodFailed })
		if st.Phase != want {
			t.Errorf("%s: phase %s, want %s", args, st.Phase, want)
		}
		if err := h.Stop(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCrashIsRestarted(t *testing.T) {
	n := open(t, options(t))
	defer n.Close()
	h := runManifest(t, n, one("Always", "[crash]"))
	st := until(t, h, func(s corev1.PodStatus) bool {
		return len(s.ContainerStatuses) == 1 && s.ContainerStatuses[0].RestartCount == 1 && s.ContainerStatuses[0].State.Waiting != nil
	})
	c := st.ContainerStatuses[0]
	if c.State.Waiting.Reason != "CrashLoopBackOff" || c.LastTerminationState.Terminated.ExitCode != 1 {
		t.Errorf("container %+v", c)
	}
	if err := h.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
}

// An agent that goes leaves the containers; the next one finds them, and what
// happened meanwhile.
func TestNextAgentAdopts(t *testing.T) {
	o := options(t)
	first := open(t, o)
	h := runFile(t, first, "../../examples/pods/web.yaml")
	before := until(t, h, ready)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := open(t, o)
	pods, err := second.List(t.Context())
	if err != nil || len(pods) != 1 || pods[0].Driven {
		t.Fatalf("List = %+v, %v; want one undriven pod", pods, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := second.Agent(ctx); err != nil {
			t.Error(err)
		}
	})
	for range 200 {
		if pods, err = second.List(t.Context()); err == nil && pods[0].Driven {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	for i, c := range pods[0].Status.ContainerStatuses {
		if c.ContainerID != before.ContainerStatuses[i].ContainerID || c.RestartCount != 0 || !c.Ready {
			t.Errorf("container %s did not go on: %+v", c.Name, c)
		}
	}
	if err := second.Stop(soon(t), "web", nil); err != nil {
		t.Fatal(err)
	}
	cancel()
	wg.Wait()
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

// Stop from a process that does not drive the pod, when nobody does.
func TestStopUndriven(t *testing.T) {
	o := options(t)
	first := open(t, o)
	h := runManifest(t, first, one("Always", "[work, /beat]"))
	until(t, h, func(s corev1.PodStatus) bool { return s.Phase == corev1.PodRunning })
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := open(t, o)
	defer second.Close()
	if err := second.Stop(soon(t), "one", nil); err != nil {
		t.Fatal(err)
	}
	if pods, err := second.List(t.Context()); err != nil || len(pods) != 0 {
		t.Errorf("left %+v, %v", pods, err)
	}
}
