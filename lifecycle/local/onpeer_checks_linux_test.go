package local_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/internal/containerd"
	"github.com/lifepod/lifepod/lifecycle/local"
)

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

// pid is the process of a container, as a status names it.
func pid(t *testing.T, d *containerd.Daemon, id string) int {
	t.Helper()
	id, ok := strings.CutPrefix(id, "containerd://")
	if !ok {
		t.Fatalf("container %q is not containerd's", id)
	}
	st, err := d.Runtime.ContainerStatus(t.Context(), id, true)
	if err != nil {
		t.Fatal(err)
	}
	var info struct{ Pid int }
	if err := json.Unmarshal([]byte(st.GetInfo()["info"]), &info); err != nil || info.Pid < 2 {
		t.Fatalf("pid of container %s: %d, %v", id, info.Pid, err)
	}
	return info.Pid
}

// kill ends a container's process behind everyone's back.
func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// checkGone: containerd knows of nothing any more, and nothing more is there than
// before.
func checkGone(t *testing.T, d *containerd.Daemon, before []string) {
	t.Helper()
	boxes, err := d.Runtime.ListPodSandbox(t.Context(), nil)
	if err != nil || len(boxes) > 0 {
		t.Errorf("sandboxes left: %v, %v", boxes, err)
	}
	list, err := d.Runtime.ListContainers(t.Context(), nil)
	if err != nil || len(list) > 0 {
		t.Errorf("containers left: %v, %v", list, err)
	}
	if left := added(before, traces(t, d)); len(left) > 0 {
		t.Errorf("the pod left behind:\n  %s", strings.Join(left, "\n  "))
	}
	if t.Failed() {
		t.Logf("containerd said:\n%s", d.Log())
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
		if filepath.Base(p) == strconv.Itoa(d.Pid()) { // another one after Kill
			continue
		}
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
