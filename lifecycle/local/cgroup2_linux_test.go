package local_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/lifecycle/local"
)

const cgroup2Pod = `
apiVersion: v1
kind: Pod
metadata: {name: limits}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 5
  containers:
  - name: main
    image: demo.lifepod.example/demo:v1
    args: [work, /heartbeat]
    resources: {requests: {cpu: 100m, memory: 32Mi}, limits: {cpu: 500m, memory: 64Mi}}
  - name: hog
    image: demo.lifepod.example/demo:v1
    args: [eat]
    resources: {limits: {cpu: "1", memory: 48Mi}}
`

// What a pod asks for is in the v2 files of its cgroup and of those of its
// containers, which lie in it; one that takes too much memory is told apart by
// its own memory.events.
func TestPodOnCgroup2(t *testing.T) {
	testutil.RequireCgroup2(t)
	o := options(t)
	n := open(t, o)
	defer n.Close()
	h := runManifest(t, n, cgroup2Pod)
	st := until(t, h, func(s corev1.PodStatus) bool {
		return len(s.ContainerStatuses) == 2 && status(s, "main").State.Running != nil && status(s, "hog").State.Terminated != nil
	})
	if end := status(st, "hog").State.Terminated; end.Reason != "OOMKilled" || end.ExitCode != 137 {
		t.Errorf("the one that takes too much ended as %+v", end)
	}
	root := "/sys/fs/cgroup/lifepod-" + local.RootID(o.Root)
	tier := filepath.Join(root, "kubepods/burstable")
	pod := filepath.Join(tier, "pod"+string(h.Pod().UID))
	_, id, _ := strings.Cut(status(st, "main").ContainerID, "://")
	main := filepath.Join(pod, id)
	for _, file := range []string{"memory.swap.max", "hugetlb.2MB.max"} {
		if _, err := os.Stat(filepath.Join(main, file)); err != nil {
			continue // not with this kernel
		}
		if got := read(t, filepath.Join(main, file)); got != "0" {
			t.Errorf("%s is %q, want 0", file, got)
		}
	}
	for file, want := range map[string]string{
		// 1100m are 1126 shares, linear for the pod; 100m are 102, by the
		// runtimes' formula for the container.
		filepath.Join(pod, "cpu.weight"): "43", filepath.Join(main, "cpu.weight"): "17",
		filepath.Join(tier, "cpu.weight"): "43",
		filepath.Join(pod, "cpu.max"):     "150000 100000", filepath.Join(main, "cpu.max"): "50000 100000",
		filepath.Join(pod, "memory.max"): strconv.Itoa(112 << 20), filepath.Join(main, "memory.max"): strconv.Itoa(64 << 20),
		filepath.Join(pod, "memory.oom.group"): "0", filepath.Join(main, "memory.oom.group"): "1",
		filepath.Join(pod, "cgroup.procs"): "", // the kernel allows none above containers
		filepath.Join(pod, "pids.max"):     "max",
	} {
		if got := read(t, file); got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
	for _, dir := range []string{root, filepath.Join(root, "kubepods"), tier, pod} {
		if got := " " + read(t, filepath.Join(dir, "cgroup.subtree_control")) + " "; !strings.Contains(got, " cpu ") || !strings.Contains(got, " memory ") || !strings.Contains(got, " pids ") {
			t.Errorf("%s offers%s", dir, got)
		}
	}
	if got := read(t, filepath.Join(main, "memory.events")); !strings.Contains(got, "oom_kill 0\n") {
		t.Errorf("the other's memory.events: %s", got)
	}
	if read(t, filepath.Join(root, "supervisor/cgroup.procs")) == "" {
		t.Error("the supervisor is not in its cgroup")
	}
	if err := h.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(tier + "/pod*"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func status(s corev1.PodStatus, name string) corev1.ContainerStatus {
	for _, c := range s.ContainerStatuses {
		if c.Name == name {
			return c
		}
	}
	return corev1.ContainerStatus{}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
	}
	return strings.TrimSpace(string(b))
}
