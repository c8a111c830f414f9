package local_test

import (
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/internal/apart"
	"github.com/lifepod/lifepod/internal/containerd"
	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/lifecycle/local"
)

// onContainerd runs the test that calls it alone in namespaces of its own, with a
// containerd there that ends with it, and a root over it. Outside of them it is
// nil; where the peer is not built the test is skipped.
func onContainerd(t *testing.T) (*containerd.Daemon, local.Options) {
	t.Helper()
	testutil.RequireRoot(t)
	if testing.Short() {
		t.Skip("a daemon for one pod: not with -short")
	}
	peer := requireContainerd(t)
	if !apart.Inside() {
		again(t)
		return nil, local.Options{}
	}
	if err := apart.Enter(containerd.Elsewhere); err != nil {
		t.Fatal(err)
	}
	o := local.Options{Root: t.TempDir(), Run: shortDir(t), NodeName: "test-node"}
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{o.Root, o.Run}, Names: []string{local.RootID(o.Root)}})
	d := startContainerd(t, peer)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	o.CRI = &local.CRI{Name: "containerd", Runtime: d.Runtime, Images: d.Images}
	return d, o
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

func containerStatus(s corev1.PodStatus, name string) corev1.ContainerStatus {
	for _, c := range s.ContainerStatuses {
		if c.Name == name {
			return c
		}
	}
	return corev1.ContainerStatus{}
}
