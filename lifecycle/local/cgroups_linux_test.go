package local_test

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/cgroups/containerd"
	"github.com/lifepod/lifepod/lifecycle/local"
)

const libraryPod = `
apiVersion: v1
kind: Pod
metadata: {name: limits}
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: main
    image: demo.lifepod.example/demo:v1
    args: [work, /heartbeat]
    resources: {requests: {cpu: 100m, memory: 32Mi}, limits: {cpu: 500m, memory: 64Mi}}
`

// ensured is a Cgroups that remembers what it was asked to make.
type ensured struct {
	*containerd.Manager
	mu    sync.Mutex
	paths []string
}

func (e *ensured) Ensure(ctx context.Context, path string, v cgroups.Values) error {
	e.mu.Lock()
	e.paths = append(e.paths, path)
	e.mu.Unlock()
	return e.Manager.Ensure(ctx, path, v)
}

// The pods' cgroups can be made by containerd's library: the limits are in the
// kernel's files, the container lives below them, and nothing is left.
func TestPodCgroupsByLibrary(t *testing.T) {
	o := options(t)
	root := "/lifepod-" + local.RootID(o.Root)
	m, err := containerd.Open(cgroups.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	library := &ensured{Manager: m}
	o.Cgroups = library
	n := open(t, o)
	defer n.Close()
	h := runManifest(t, n, libraryPod)
	if err := awaitReady(soon(t), h); err != nil {
		t.Fatal(err)
	}
	path := root + "/kubepods/burstable/pod" + string(h.Pod().UID)
	library.mu.Lock()
	if !slices.Contains(library.paths, path) || !slices.Contains(library.paths, filepath.Dir(path)) {
		t.Errorf("the library made %v, not the pod's and its tier's cgroup", library.paths)
	}
	library.mu.Unlock()
	memory := strconv.Itoa(64 << 20)
	files := map[string]string{"cpu/cpu.shares": "102", "cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000", "memory/memory.limit_in_bytes": memory}
	if m.Unified() {
		files = map[string]string{"cpu.weight": "4", "cpu.max": "50000 100000", "memory.max": memory}
	}
	for file, want := range files {
		if got := read(t, filepath.Join("/sys/fs/cgroup", filepath.Dir(file), path, filepath.Base(file))); got != want {
			t.Errorf("%s of the pod is %q, want %q", file, got, want)
		}
	}
	below, err := m.List(t.Context(), path)
	if err != nil || len(below) != 1 {
		t.Fatalf("cgroups below the pod's: %v, %v", below, err)
	}
	if s, err := m.Stats(t.Context(), below[0]); err != nil || s.Pids == 0 || s.MemoryLimit != 64<<20 {
		t.Errorf("the container's figures: %+v, %v", s, err)
	}
	if err := h.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
	if left, err := m.List(t.Context(), filepath.Dir(path)); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
