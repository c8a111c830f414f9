package local_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/lifecycle/local"
)

// crashPod reaches every kind of effect that the blocks of a node have for a pod.
const crashPod = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {page.html: hello, level: info}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {token: s3cr3t}
---
apiVersion: v1
kind: Pod
metadata: {name: crash}
spec:
  terminationGracePeriodSeconds: 5
  securityContext: {fsGroup: 2000}
  initContainers:
  - name: prepare
    image: demo.lifepod.example/demo:v1
    args: [prepare, /config/page.html, /shared/index.html]
    volumeMounts:
    - {name: shared, mountPath: /shared}
    - {name: config, mountPath: /config}
  - name: beside
    image: demo.lifepod.example/demo:v1
    restartPolicy: Always
    args: [work, /memory/beside]
    volumeMounts: [{name: memory, mountPath: /memory}]
  containers:
  - name: web
    image: demo.lifepod.example/demo:v1
    args: [serve, ":8080", /shared]
    ports: [{containerPort: 8080, hostPort: HOSTPORT}]
    resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 64Mi}}
    readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 1}
    lifecycle:
      postStart: {exec: {command: [/demo, touch, /memory/started]}}
      preStop: {exec: {command: [/demo, touch, /memory/stopping]}}
    volumeMounts:
    - {name: shared, mountPath: /shared}
    - {name: memory, mountPath: /memory}
    - {name: secret, mountPath: /secret}
    - {name: info, mountPath: /info}
    - {name: shared, mountPath: /part, subPath: part}
  volumes:
  - {name: shared, emptyDir: {}}
  - {name: memory, emptyDir: {medium: Memory, sizeLimit: 8Mi}}
  - {name: config, configMap: {name: settings}}
  - {name: secret, secret: {secretName: keys}}
  - name: info
    projected:
      sources:
      - downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}
      - configMap: {name: settings, items: [{key: level, path: level}]}
`

// crashPoints is how many points the recording run must reach; it only grows. Two
// more are reached where no other root is: host settings are set back then.
const crashPoints = 140

// crashSample is how many of them the usual test run tries. LIFEPOD_CRASH_POINTS
// is "all" for each of them (make crashpoints), "every" for each time that each
// of them is reached, or a regular expression.
const crashSample = 14

// crashPoint is one place to be killed at.
type crashPoint struct {
	victim, phase string // agent or supervisor; start or stop
	at            string // effect:when
	n             int    // the n-th time in the phase
}

// onlyAlone says that the point is reached where there is no other root.
func (p crashPoint) onlyAlone() bool {
	return p.phase == "stop" && strings.HasPrefix(p.at, "bridge/sysctl:")
}

func (p crashPoint) String() string {
	return fmt.Sprintf("%s/%s/%s:%d", p.victim, p.phase, p.at, p.n)
}

// The agent, then the supervisor, is killed at each point that a start or a stop
// reaches: before and after every kind of effect outside the process. A new agent
// brings the pod to the same end, and nothing is left.
func TestCrashPoints(t *testing.T) {
	base := options(t)
	every := recordPoints(t, base)
	points := slices.DeleteFunc(slices.Clone(every), func(p crashPoint) bool { return p.n > 1 })
	if len(points) < crashPoints {
		t.Errorf("only %d points are reached, %d were before", len(points), crashPoints)
	}
	chosen := choosePoints(points, every)
	for _, p := range chosen {
		t.Run(p.String(), func(t *testing.T) { crashAt(t, base, p) })
	}
	t.Logf("%d points are reached, %d times in all; %d tried; reached by no start or stop of this pod: %v",
		len(points), len(every), len(chosen), unreached(points))
}

func choosePoints(points, every []crashPoint) []crashPoint {
	switch which := os.Getenv("LIFEPOD_CRASH_POINTS"); which {
	case "all":
		return points
	case "every":
		return every
	case "":
		var some []crashPoint
		for i := range crashSample {
			some = append(some, points[i*len(points)/crashSample])
		}
		return some
	default:
		re := regexp.MustCompile(which)
		return slices.DeleteFunc(slices.Clone(every), func(p crashPoint) bool { return !re.MatchString(p.String()) })
	}
}

func unreached(points []crashPoint) []string {
	return slices.DeleteFunc(sys.Effects(), func(e string) bool {
		return slices.ContainsFunc(points, func(p crashPoint) bool { return strings.HasPrefix(p.at, e+":") })
	})
}

// crashTask is an agent with a root of its own.
func crashTask(t *testing.T, base local.Options) agentTask {
	t.Helper()
	program, err := prebuilt()
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	return agentTask{
		Root: t.TempDir(), Run: shortDir(t), Supervisor: program, Mirror: base.Images.Client.Mirrors[demoHost],
		Manifest: strings.ReplaceAll(crashPod, "HOSTPORT", port),
	}
}

// recordPoints runs the pod once, undisturbed, and lists what is reached, in
// order.
func recordPoints(t *testing.T, base local.Options) []crashPoint {
	t.Helper()
	a := crashTask(t, base)
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{a.Root, a.Run}, Names: []string{local.RootID(a.Root)}})
	dir := t.TempDir()
	files := map[string]string{"agent": filepath.Join(dir, "agent"), "supervisor": filepath.Join(dir, "supervisor")}
	a.Traces = []string{files["agent"], files["supervisor"]}
	cmd := a.command(t, sys.FailpointEnv+"=trace:"+files["agent"], supervisorFailpoint+"=trace:"+files["supervisor"])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("undisturbed: %v\n%s", err, out)
	}
	awaitEmpty(t, a)
	var points []crashPoint
	for _, victim := range []string{"agent", "supervisor"} {
		b, err := os.ReadFile(files[victim])
		if err != nil {
			t.Fatal(err)
		}
		phase, seen := "start", map[crashPoint]int{}
		for at := range strings.Lines(string(b)) {
			p := crashPoint{victim: victim, phase: phase, at: strings.TrimSpace(at)}
			if p.at == "ready" {
				phase = "stop"
				continue
			}
			seen[p]++
			p.n = seen[p]
			points = append(points, p)
		}
	}
	return points
}

// supervisorFailpoint is passed on to the supervisors that an agent starts.
const supervisorFailpoint = "LIFEPOD_SUPERVISOR_FAILPOINT"

func crashAt(t *testing.T, base local.Options, p crashPoint) {
	a := crashTask(t, base)
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{a.Root, a.Run}, Names: []string{local.RootID(a.Root)}})
	gate := filepath.Join(t.TempDir(), "gate")
	if p.phase == "start" {
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	} else {
		a.Gate = gate
	}
	env := sys.FailpointEnv
	if p.victim == "supervisor" {
		env = supervisorFailpoint
	}
	var out bytes.Buffer
	cmd := a.command(t, fmt.Sprintf("%s=%s:kill:%d:%s", env, p.at, p.n, gate))
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var ended *exec.ExitError
	switch {
	case err == nil && (p.victim == "supervisor" || p.n > 1 || p.onlyAlone()): // it may not be reached this time
	case err == nil:
		t.Errorf("the agent was not killed")
	case !errors.As(err, &ended):
		t.Fatal(err)
	case p.victim == "agent" && ended.String() == "signal: killed":
	default: // it ought to live through the death of its supervisor
		t.Errorf("the agent ended: %v\n%s", err, &out)
	}
	if p.victim == "supervisor" { // it ends after its agents
		for end := time.Now().Add(10 * time.Second); there(gate) && there(a.Run) && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
	}
	if there(gate) {
		t.Log("the point was not reached this time")
	}
	bringToEnd(t, a, p)
	awaitEmpty(t, a)
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// bringToEnd is the next agent: it finishes what the one before began.
func bringToEnd(t *testing.T, a agentTask, p crashPoint) {
	t.Helper()
	n := open(t, a.options())
	defer n.Close()
	ctx, cancel := context.WithCancel(soon(t))
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := n.Agent(ctx); err != nil {
			t.Error(err)
		}
	})
	defer wg.Wait()
	defer cancel()
	pods, err := n.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case len(pods) > 0 && pods[0].Deleting:
		awaitList(t, n, "gone", func(pods []local.PodInfo) bool { return len(pods) == 0 })
		return
	case len(pods) == 0 && p.phase == "stop":
		return
	case len(pods) == 0: // killed before it was written down: the name must be free
		h := runManifest(t, n, a.Manifest)
		if err := awaitReady(ctx, h); err != nil {
			t.Error(err)
		}
	default:
		awaitList(t, n, "ready", func(pods []local.PodInfo) bool { return len(pods) == 1 && ready(pods[0].Status) })
	}
	if err := n.Stop(ctx, "crash", nil); err != nil {
		t.Error(err)
	}
}

// awaitList waits until the pods of the root are as f wants them.
func awaitList(t *testing.T, n *local.Node, what string, f func([]local.PodInfo) bool) {
	t.Helper()
	var pods []local.PodInfo
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var err error
		if pods, err = n.List(t.Context()); err == nil && f(pods) {
			return
		}
	}
	var said strings.Builder
	for _, p := range pods {
		_ = n.Describe(t.Context(), p.Pod.Name, &said)
	}
	t.Errorf("the pod does not become %s:\n%s", what, &said)
}

// awaitEmpty waits until the run directory is gone, as it is once the last pod,
// agent and supervisor are.
func awaitEmpty(t *testing.T, a agentTask) {
	t.Helper()
	var left []string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		left = nil
		_ = filepath.WalkDir(a.Run, func(p string, _ os.DirEntry, err error) error {
			if err == nil {
				left = append(left, p)
			}
			return nil
		})
		if len(left) == 0 {
			return
		}
	}
	t.Errorf("left in the run directory:\n  %s", strings.Join(left, "\n  "))
}

func freePort(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Fatal(err)
	}
	var low, high int
	if _, err := fmt.Sscan(string(b), &low, &high); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(low - 1 - os.Getpid()%8000)
}
