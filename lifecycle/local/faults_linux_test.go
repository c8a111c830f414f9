package local_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/pod"
)

// waiting is the reason for which the first container waits.
func waiting(s corev1.PodStatus) string {
	if len(s.ContainerStatuses) == 0 || s.ContainerStatuses[0].State.Waiting == nil {
		return ""
	}
	return s.ContainerStatuses[0].State.Waiting.Reason
}

func phase(want corev1.PodPhase) func(corev1.PodStatus) bool {
	return func(s corev1.PodStatus) bool { return s.Phase == want }
}

// awaitEvent waits for an event whose message has all parts.
func awaitEvent(t *testing.T, h *local.Handle, reason string, parts ...string) corev1.Event {
	t.Helper()
	var said []string
	for e, err := range h.Events(soon(t)) {
		if err != nil {
			break
		}
		said = append(said, e.Reason+": "+e.Message)
		lacks := func(part string) bool { return !strings.Contains(e.Message, part) }
		if e.Reason == reason && !slices.ContainsFunc(parts, lacks) {
			return e
		}
	}
	t.Fatalf("no event %s with %q:\n%s", reason, parts, strings.Join(said, "\n"))
	return corev1.Event{}
}

func stop(t *testing.T, h *local.Handle) corev1.PodStatus {
	t.Helper()
	if err := h.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
	var last corev1.PodStatus
	for s := range h.Status(t.Context()) {
		last = s
	}
	return last
}

// awaitLog waits until a container has said something.
func awaitLog(t *testing.T, n *local.Node, name, container, text string) {
	t.Helper()
	var log strings.Builder
	for ctx := soon(t); ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		log.Reset()
		err := n.Logs(ctx, name, local.LogOptions{Container: container}, &log, &log)
		if err == nil && strings.Contains(log.String(), text) {
			return
		}
	}
	t.Fatalf("the log of %s does not say %q: %q", container, text, log.String())
}

const programs = `
apiVersion: v1
kind: ConfigMap
metadata: {name: programs}
data: {text: "not a program", script: "neither is this"}
---
apiVersion: v1
kind: Pod
metadata: {name: one}
spec:
  containers:
  - name: main
    image: demo.lifepod.example/demo:v1
    command: [COMMAND]
    volumeMounts: [{name: programs, mountPath: /programs}]
  volumes:
  - name: programs
    configMap: {name: programs, items: [{key: text, path: text, mode: 0644}, {key: script, path: script, mode: 0755}]}
`

// A program that cannot be executed, for any reason, is a container that ended
// with 128 and is started again like one that crashed.
func TestProgramCannotBeExecuted(t *testing.T) {
	n := open(t, options(t))
	defer n.Close()
	for command, says := range map[string]string{
		"/nowhere": "no such file or directory", "nowhere": "executable file not found in $PATH",
		"/programs/text": "permission denied", "/programs/script": "exec format error",
	} {
		h := runManifest(t, n, strings.ReplaceAll(programs, "COMMAND", command))
		st := until(t, h, func(s corev1.PodStatus) bool {
			return len(s.ContainerStatuses) == 1 && s.ContainerStatuses[0].LastTerminationState.Terminated != nil
		})
		c := st.ContainerStatuses[0]
		last := c.LastTerminationState.Terminated
		if last.Reason != "StartError" || last.ExitCode != 128 || !strings.Contains(last.Message, says) {
			t.Errorf("%s: it ended as %+v, want StartError, 128, %q", command, last, says)
		}
		if w := waiting(st); w != "RunContainerError" && w != "CrashLoopBackOff" {
			t.Errorf("%s: it waits for %q", command, w)
		}
		awaitEvent(t, h, "Failed", says)
		if last := stop(t, h); last.Phase != corev1.PodFailed {
			t.Errorf("%s: last phase %s", command, last.Phase)
		}
	}
}

const needy = `
apiVersion: v1
kind: Pod
metadata: {name: volume}
spec:
  containers:
  - {name: main, image: "demo.lifepod.example/demo:v1", args: [work, /beat], volumeMounts: [{name: late, mountPath: /late}]}
  volumes: [{name: late, configMap: {name: late}}]
---
apiVersion: v1
kind: Pod
metadata: {name: key}
spec:
  containers:
  - name: main
    image: demo.lifepod.example/demo:v1
    args: [work, /beat]
    env: [{name: LATE, valueFrom: {configMapKeyRef: {name: half, key: late}}}]
`

const half = `
apiVersion: v1
kind: ConfigMap
metadata: {name: half}
data: {other: there}
`

const whole = `
apiVersion: v1
kind: ConfigMap
metadata: {name: half}
data: {late: there}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: late}
data: {file: there}
`

// What a pod refers to may come later: it waits, says for what, and goes on; and
// the next agent knows what came.
func TestMissingObjectsComeLater(t *testing.T) {
	o := options(t)
	n := open(t, o)
	defer n.Close()
	apply(t, n, half)
	pods, _, err := local.Decode([]byte(needy))
	if err != nil {
		t.Fatal(err)
	}
	var hs []*local.Handle
	for _, p := range pods {
		h, err := n.Run(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		hs = append(hs, h)
	}
	volume, key := hs[0], hs[1]
	awaitEvent(t, volume, "FailedMount", `MountVolume.SetUp failed for volume "late"`, `configmap "late" not found`)
	st := until(t, key, func(s corev1.PodStatus) bool { return waiting(s) == "CreateContainerConfigError" })
	if want := "couldn't find key late in ConfigMap default/half"; st.ContainerStatuses[0].State.Waiting.Message != want {
		t.Errorf("message %q, want %q", st.ContainerStatuses[0].State.Waiting.Message, want)
	}
	awaitEvent(t, key, "Failed", "Error: couldn't find key late in ConfigMap default/half")
	for _, h := range hs {
		if st := until(t, h, phase(corev1.PodPending)); st.Phase != corev1.PodPending {
			t.Error(st.Phase)
		}
	}
	apply(t, n, whole)
	for _, h := range hs {
		until(t, h, phase(corev1.PodRunning))
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	next := open(t, o)
	defer next.Close()
	for _, p := range pods {
		if err := next.Stop(soon(t), p.Name, nil); err != nil {
			t.Error(err)
		}
	}
}

func apply(t *testing.T, n *local.Node, manifest string) {
	t.Helper()
	_, others, err := local.Decode([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Apply(t.Context(), others...); err != nil {
		t.Fatal(err)
	}
}

func TestImageNotFound(t *testing.T) {
	n := open(t, options(t))
	defer n.Close()
	h := runManifest(t, n, strings.ReplaceAll(one("Always", "[exit]"), "demo:v1", "nothing:v1"))
	const ref = "demo.lifepod.example/nothing:v1"
	var reasons []string
	until(t, h, func(s corev1.PodStatus) bool {
		if w := waiting(s); w != "" && !slices.Contains(reasons, w) {
			reasons = append(reasons, w)
		}
		return slices.Contains(reasons, "ImagePullBackOff")
	})
	awaitEvent(t, h, "Failed", fmt.Sprintf("Failed to pull image %q", ref))
	awaitEvent(t, h, "Failed", "Error: ErrImagePull")
	awaitEvent(t, h, "BackOff", fmt.Sprintf("Back-off pulling image %q", ref))
	stop(t, h)
}

func TestOutOfMemory(t *testing.T) {
	n := open(t, options(t))
	defer n.Close()
	h := runManifest(t, n, one("Never", "[eat]")+"    resources: {limits: {memory: 32Mi}}\n")
	st := until(t, h, phase(corev1.PodFailed))
	if e := st.ContainerStatuses[0].State.Terminated; e == nil || e.Reason != "OOMKilled" || e.ExitCode != 137 {
		t.Errorf("it ended as %+v", st.ContainerStatuses[0].State)
	}
	stop(t, h)
}

const hookPod = `
apiVersion: v1
kind: Pod
metadata: {name: hooks}
spec:
  containers:
`

// preStop hooks of one pod run at the same time.
func TestPreStopHooksRunTogether(t *testing.T) {
	n := open(t, options(t))
	defer n.Close()
	containers := ""
	for _, name := range []string{"a", "b", "c"} {
		containers += "  - {name: " + name + ", image: 'demo.lifepod.example/demo:v1', args: [work, /beat], lifecycle: {preStop: {sleep: {seconds: 1}}}}\n"
	}
	h := runManifest(t, n, hookPod+containers)
	until(t, h, phase(corev1.PodRunning))
	stop(t, h)
	var begun, ended time.Time // of the last to begin and of the first to end
	hooks := 0
	for _, s := range h.Timeline() {
		if s.Name != "RunPreStop" {
			continue
		}
		if hooks++; begun.Before(s.Start) {
			begun = s.Start
		}
		if ended.IsZero() || s.End.Before(ended) {
			ended = s.End
		}
	}
	if hooks != 3 || ended.Before(begun) {
		t.Errorf("%d ends, not at the same time: %+v", hooks, h.Timeline())
	}
}

// A deletion ends what is under way, whatever it is.
func TestDeletionInterrupts(t *testing.T) {
	const spec = `
apiVersion: v1
kind: Pod
metadata: {name: busy}
spec:
  terminationGracePeriodSeconds: 60
`
	const container = `
  - name: main
    image: demo.lifepod.example/demo:v1
    args: [serve, ':8080', /]
`
	t.Run("pull", func(t *testing.T) {
		o, registry := optionsWith(t)
		n := open(t, o)
		defer n.Close()
		registry.On("/blobs/", imagetest.Stall(100))
		h := runManifest(t, n, spec+"  containers:"+container)
		awaitEvent(t, h, "Pulling", "demo:v1")
		stop(t, h) // or the test's time runs out
	})
	t.Run("postStart", func(t *testing.T) {
		n := open(t, options(t))
		defer n.Close()
		h := runManifest(t, n, spec+"  containers:"+container+
			"    lifecycle: {postStart: {exec: {command: [/demo, work, /hook]}}}\n")
		awaitLog(t, n, "busy", "main", "serving")
		last := stop(t, h)
		if e := last.ContainerStatuses[0].State.Terminated; e == nil || e.ExitCode != 0 {
			t.Errorf("it ended as %+v, want by its stop signal", last.ContainerStatuses[0].State)
		}
	})
	t.Run("init container", func(t *testing.T) {
		n := open(t, options(t))
		defer n.Close()
		h := runManifest(t, n, spec+"  initContainers:"+strings.ReplaceAll(container, "main", "first")+"  containers:"+container)
		awaitLog(t, n, "busy", "first", "serving")
		last := stop(t, h)
		if e := last.InitContainerStatuses[0].State.Terminated; e == nil || e.ExitCode != 0 {
			t.Errorf("it ended as %+v, want by its stop signal", last.InitContainerStatuses[0].State)
		}
		if len(last.ContainerStatuses) > 0 && last.ContainerStatuses[0].ContainerID != "" {
			t.Error("the next container was started")
		}
	})
}

// A host port that another pod or program has is refused with its name.
func TestHostPortIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	n := open(t, options(t))
	defer n.Close()
	h := runManifest(t, n, one("Always", "[exit]")+fmt.Sprintf("    ports: [{containerPort: 80, hostPort: %d}]\n", port))
	awaitEvent(t, h, "FailedCreatePodSandBox", fmt.Sprintf("host port %d/tcp", port))
	l.Close()
	until(t, h, func(s corev1.PodStatus) bool { return pod.Condition(&s, corev1.PodReady) != nil && s.PodIP != "" })
	stop(t, h)
	if pods, err := n.List(t.Context()); err != nil || len(pods) > 0 {
		t.Errorf("left %v, %v", pods, err)
	}
}
