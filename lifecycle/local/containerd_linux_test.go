package local_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/internal/apart"
	"github.com/lifepod/lifepod/internal/containerd"
	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/lifecycle"
	"github.com/lifepod/lifepod/lifecycle/local"
)

// The same pod, the same runner, on containerd through k8s.io/cri-client: it
// becomes Ready, a container that is killed is started again, and nothing is left
// of it.
func TestWebPodOnContainerd(t *testing.T) {
	testutil.RequireRoot(t)
	if testing.Short() {
		t.Skip("a daemon for one pod: not with -short")
	}
	peer := requireContainerd(t)
	if !apart.Inside() {
		again(t)
		return
	}
	if err := apart.Enter(containerd.Elsewhere); err != nil {
		t.Fatal(err)
	}
	d := startContainerd(t, peer)
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("containerd said:\n%s", d.Log())
		}
	}()
	rt := &heard{Runtime: d.Runtime}
	o := local.Options{
		Root: t.TempDir(), Run: shortDir(t), NodeName: "test-node",
		CRI: &local.CRI{Name: "containerd", Runtime: rt, Images: d.Images},
	}
	var said lines
	o.Log = funcr.New(func(_, args string) { said.add(args) }, funcr.Options{})
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{o.Root, o.Run}, Names: []string{local.RootID(o.Root)}})
	before := traces(t, d)

	n := open(t, o)
	h := runFile(t, n, "../../examples/pods/web.yaml")
	st := until(t, h, ready)
	web := containerStatus(t, st, "web")
	if st.PodIP == "" || !strings.HasPrefix(web.ContainerID, "containerd://") {
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
	t.Logf("traces of the pod that runs:\n  %s", strings.Join(running, "\n  "))

	kill(t, d, strings.TrimPrefix(web.ContainerID, "containerd://"))
	st = until(t, h, func(s corev1.PodStatus) bool { return containerStatus(t, s, "web").RestartCount == 1 && ready(s) })
	again := containerStatus(t, st, "web")
	if last := again.LastTerminationState.Terminated; last == nil || last.ExitCode != 137 || last.ContainerID != web.ContainerID {
		t.Errorf("the killed container is told as %+v", again.LastTerminationState)
	}
	for _, c := range st.ContainerStatuses {
		if c.Name != "web" && c.RestartCount != 0 {
			t.Errorf("container %s was started again, too", c.Name)
		}
	}
	if !rt.told(runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT, web.ContainerID) {
		t.Error("no event told of the killed container")
	}

	if err := h.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
	if ended := rt.streams(); ended.begun != 1 || ended.over != 0 || said.contain("sends no events") {
		t.Errorf("the runner was not driven by one stream of events: %+v; log:\n%s", ended, said.all())
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	checkGone(t, d)
	if left := added(before, traces(t, d)); len(left) > 0 {
		t.Errorf("the pod left behind:\n  %s", strings.Join(left, "\n  "))
	}
}

// requireContainerd skips where the peer is not built.
func requireContainerd(t *testing.T) containerd.Options {
	t.Helper()
	o, err := containerd.Find("../..")
	if err != nil {
		if os.Getenv("LIFEPOD_PEER_TESTS") == "1" {
			t.Fatalf("LIFEPOD_PEER_TESTS=1, but %v", err)
		}
		t.Skip(err)
	}
	return o
}

// again runs this test alone in namespaces of its own.
func again(t *testing.T) {
	t.Helper()
	cmd := apart.Command(t.Context(), "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("in namespaces of its own: %v\n%s", err, out)
	}
	if testing.Verbose() {
		t.Logf("in namespaces of its own:\n%s", out)
	}
}

// startContainerd serves the images of the pod and of sandboxes, and starts
// containerd with them in reach.
func startContainerd(t *testing.T, o containerd.Options) *containerd.Daemon {
	t.Helper()
	program, err := demoProgram()
	if err != nil {
		t.Fatalf("build the demo program: %v\n%s", err, program)
	}
	pause, err := os.ReadFile(o.Pause())
	if err != nil {
		t.Fatal(err)
	}
	registry := &imagetest.Registry{}
	for name, file := range map[string][]byte{"demo": program, "pause": pause} {
		img := imagetest.Image{Layers: []imagetest.Layer{imagetest.Program(name, file)}}
		img.Config.Config.Entrypoint = []string{"/" + name}
		if _, err := registry.Add(name+":v1", img); err != nil {
			t.Fatal(err)
		}
	}
	host, stop, err := registry.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	o.Dir = shortDir(t)
	o.Mirrors = map[string]string{"demo.lifepod.example": host}
	d, err := containerd.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func containerStatus(t *testing.T, s corev1.PodStatus, name string) corev1.ContainerStatus {
	t.Helper()
	for _, c := range s.ContainerStatuses {
		if c.Name == name {
			return c
		}
	}
	return corev1.ContainerStatus{}
}

func checkLog(t *testing.T, n *local.Node) {
	t.Helper()
	var log strings.Builder
	if err := n.Logs(t.Context(), "web", local.LogOptions{Container: "web"}, &log, &log); err != nil {
		t.Fatal(err)
	}
	if want := "Hello from lifepod, I am web: serving /shared on :8080"; !strings.Contains(log.String(), want) {
		t.Errorf("log %q lacks %q", log.String(), want)
	}
}

// checkCgroups: the pod's cgroup is ours, with the pod's limits, and holds the
// containers'.
func checkCgroups(t *testing.T, o local.Options, p *corev1.Pod) {
	t.Helper()
	var dirs []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && e.Name() == "pod"+string(p.UID) && strings.Contains(path, local.RootID(o.Root)+"/kubepods/burstable/") {
			dirs = append(dirs, path)
		}
		return nil
	})
	limits := 0
	for _, dir := range dirs {
		inner, err := filepath.Glob(dir + "/*/cgroup.procs")
		if err != nil || len(inner) < 4 { // the sandbox's process and three containers
			t.Errorf("cgroup %s holds %d cgroups: %v", dir, len(inner), err)
		}
		for _, file := range []string{"memory.limit_in_bytes", "memory.max"} {
			if b, err := os.ReadFile(filepath.Join(dir, file)); err == nil && strings.TrimSpace(string(b)) == fmt.Sprint(3*64<<20) {
				limits++
			}
		}
	}
	if len(dirs) == 0 || limits != 1 {
		t.Errorf("pod cgroups %v, %d of them with the pod's limit of memory", dirs, limits)
	}
}

// kill ends a container's process behind everyone's back.
func kill(t *testing.T, d *containerd.Daemon, id string) {
	t.Helper()
	st, err := d.Runtime.ContainerStatus(t.Context(), id, true)
	if err != nil {
		t.Fatal(err)
	}
	var info struct{ Pid int }
	if err := json.Unmarshal([]byte(st.GetInfo()["info"]), &info); err != nil || info.Pid < 2 {
		t.Fatalf("pid of container %s: %d, %v", id, info.Pid, err)
	}
	if err := syscall.Kill(info.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// checkGone: containerd knows of nothing any more.
func checkGone(t *testing.T, d *containerd.Daemon) {
	t.Helper()
	boxes, err := d.Runtime.ListPodSandbox(t.Context(), nil)
	if err != nil || len(boxes) > 0 {
		t.Errorf("sandboxes left: %v, %v", boxes, err)
	}
	list, err := d.Runtime.ListContainers(t.Context(), nil)
	if err != nil || len(list) > 0 {
		t.Errorf("containers left: %v, %v", list, err)
	}
}

// traces are what a pod on containerd consists of on the machine, one line each:
// processes and mounts of these namespaces, links, pinned namespaces, addresses,
// attachments, shims' sockets and bundles.
func traces(t *testing.T, d *containerd.Daemon) []string {
	t.Helper()
	var all []string
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		if cmd, err := os.ReadFile(p + "/cmdline"); err == nil && len(cmd) > 0 {
			all = append(all, "process "+filepath.Base(p)+" "+strings.ReplaceAll(string(cmd), "\x00", " "))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		all = append(all, "mount "+strings.Fields(line)[4])
	}
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if l.Name != "peer0" { // the bridge stays, as the plugin wants it
			all = append(all, "link "+l.Name)
		}
	}
	dir := d.Dir()
	for _, glob := range []string{
		dir + "/state/netns/*", dir + "/addresses/peer/[0-9]*", "/var/lib/cni/results/*", "/run/containerd/s/*",
		dir + "/state/io.containerd.runtime.v2.task/*/*", dir + "/state/io.containerd.grpc.v1.cri/*/*",
		dir + "/root/io.containerd.grpc.v1.cri/*/*", "/run/containerd/runc/*/*",
	} {
		files, _ := filepath.Glob(glob)
		for _, f := range files {
			all = append(all, "file "+f)
		}
	}
	return all
}

// added is what after has more than before.
func added(before, after []string) []string {
	var more []string
	for _, a := range after {
		if !slices.Contains(before, a) {
			more = append(more, a)
		}
	}
	return more
}

// heard is a runtime whose events are noted on their way.
type heard struct {
	lifecycle.Runtime

	mu     sync.Mutex
	events []*runtimeapi.ContainerEventResponse
	count  streams
}

// streams counts calls of GetContainerEvents.
type streams struct{ begun, over int }

func (h *heard) GetContainerEvents(ctx context.Context, out chan *runtimeapi.ContainerEventResponse, connected func(runtimeapi.RuntimeService_GetContainerEventsClient)) error {
	h.mu.Lock()
	h.count.begun++
	h.mu.Unlock()
	in := make(chan *runtimeapi.ContainerEventResponse)
	var wg sync.WaitGroup
	wg.Go(func() {
		for e := range in {
			h.mu.Lock()
			h.events = append(h.events, e)
			h.mu.Unlock()
			select {
			case out <- e:
			case <-ctx.Done():
			}
		}
	})
	err := h.Runtime.GetContainerEvents(ctx, in, connected)
	close(in)
	wg.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count.over++
	return err
}

func (h *heard) streams() streams {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

func (h *heard) told(kind runtimeapi.ContainerEventType, id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.events, func(e *runtimeapi.ContainerEventResponse) bool {
		return e.GetContainerEventType() == kind && strings.HasSuffix(id, e.GetContainerId())
	})
}

// lines are what a log was given.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, line)
}

func (l *lines) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.text, "\n")
}

func (l *lines) contain(part string) bool { return strings.Contains(l.all(), part) }
