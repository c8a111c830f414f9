package local_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/image/policy"
	"github.com/lifepod/lifepod/internal/containerd"
	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/lifecycle/local/imagegc"
)

// smallDisk puts the root on a filesystem of its own.
func smallDisk(t *testing.T, o *local.Options, size string) {
	t.Helper()
	if err := unix.Mount("tmpfs", o.Root, "tmpfs", 0, size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(o.Root, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

const ballast = 8 << 20

// twoImages is the size of a disk that has room for two heavy images, and not for
// three. They share the packed program.
func twoImages(t *testing.T) string {
	t.Helper()
	program, err := demoProgram()
	if err != nil {
		t.Fatal(err)
	}
	one := 2*ballast + len(program)
	return fmt.Sprintf("size=%d", 2*one+len(program)+8<<20)
}

// heavy publishes images of the demo program and of ballast that does not
// compress.
func heavy(t *testing.T, registry *imagetest.Registry, names ...string) {
	t.Helper()
	program, err := demoProgram()
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		img := imagetest.Image{Layers: append(imagetest.Random(uint64(i+1), 1, ballast).Layers, imagetest.Program("demo", program))}
		img.Layers[0].Compression = imagetest.None
		img.Config.Config.Entrypoint = []string{"/demo"}
		if _, err := registry.Add(name, img); err != nil {
			t.Fatal(err)
		}
	}
}

func heavyPod(name string) string {
	return strings.ReplaceAll(`
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  containers:
  - {name: main, image: "demo.lifepod.example/NAME:v1", args: [health, ":9090"]}
`, "NAME", name)
}

// A pull that finds the disk full has the image of a pod that is gone removed, and
// succeeds; the image of one that runs stays. Where there is nothing to remove,
// the pull fails as ever, and the pod starts when there is.
func TestRoomForAPull(t *testing.T) {
	o, registry := optionsWith(t)
	heavy(t, registry, "first:v1", "second:v1", "third:v1")
	smallDisk(t, &o, twoImages(t))
	o.ImageGC = policy.GCOptions{MinAge: time.Nanosecond}
	o.Images.NoSync = true
	n := open(t, o)
	defer n.Close()
	images := func() (names []string) {
		t.Helper()
		s, err := image.Open(o.Root, o.Images)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		list, err := s.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range list {
			names = append(names, i.Tags...)
		}
		return names
	}
	first := runManifest(t, n, heavyPod("first"))
	until(t, first, phase(corev1.PodRunning))
	stop(t, first)
	second := runManifest(t, n, heavyPod("second"))
	until(t, second, phase(corev1.PodRunning))
	if got := strings.Join(images(), " "); !strings.Contains(got, "first") {
		t.Fatalf("images %q: the disk is too small for two", got)
	}
	third := runManifest(t, n, heavyPod("third"))
	until(t, third, phase(corev1.PodRunning))
	if got := strings.Join(images(), " "); strings.Contains(got, "first") || !strings.Contains(got, "second") || !strings.Contains(got, "third") {
		t.Errorf("images %q", got)
	}
	heavy(t, registry, "x:v1", "x:v1", "x:v1", "fourth:v1") // with a seed of its own
	fourth := runManifest(t, n, heavyPod("fourth"))
	awaitEvent(t, fourth, "Failed", "no space left on device")
	stop(t, fourth) // it would be tried again after a while
	stop(t, second) // its image may go now
	fourth = runManifest(t, n, heavyPod("fourth"))
	until(t, fourth, phase(corev1.PodRunning))
	if got := strings.Join(images(), " "); strings.Contains(got, "second") || !strings.Contains(got, "third") {
		t.Errorf("images %q", got)
	}
	stop(t, third)
	stop(t, fourth)
}

// A pull that leaves the disk above the high threshold is followed by a look at
// once, whose event is the kubelet's.
func TestFullAfterAPull(t *testing.T) {
	o, registry := optionsWith(t)
	heavy(t, registry, "first:v1")
	smallDisk(t, &o, "size=64m")
	o.ImageGC = policy.GCOptions{HighPercent: 20, LowPercent: 10}
	n := open(t, o)
	defer n.Close()
	h := runManifest(t, n, heavyPod("first"))
	until(t, h, phase(corev1.PodRunning))
	for e, err := range n.Events(soon(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type != corev1.EventTypeWarning || e.Reason != image.ReasonFreeDiskSpace || e.InvolvedObject.Kind != "Node" || e.InvolvedObject.Name != "test-node" ||
			!strings.Contains(e.Message, "of 64.0 MiB used). Failed to free sufficient space by deleting unused images (freed 0 bytes).") {
			t.Errorf("%+v", e)
		}
		break
	}
	stop(t, h)
}

// With another runtime the same decision removes that one's images, by its image
// service.
func TestImageGCOnContainerd(t *testing.T) {
	d, o := onContainerd(t)
	if d == nil {
		return
	}
	for _, name := range []string{"demo.lifepod.example/demo:v1", containerd.SandboxImage} { // the second is pinned
		if _, err := d.Images.PullImage(t.Context(), &runtimeapi.ImageSpec{Image: name}, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	gc := &imagegc.CRI{Images: d.Images, Containers: d.Runtime}
	space := image.SpaceOptions{GCOptions: policy.GCOptions{HighPercent: 1, MinAge: time.Nanosecond}} // any disk is fuller
	if freed, err := gc.FreeSpace(t.Context(), space); len(freed.Images) > 0 {
		t.Errorf("at the first sight of them: freed %+v, %v", freed, err)
	}
	if freed, err := gc.Prune(t.Context(), space); err != nil || len(freed.Images) != 1 || freed.Bytes == 0 {
		t.Errorf("freed %+v, %v", freed, err)
	}
	left, err := d.Images.ListImages(t.Context(), nil)
	if err != nil || len(left) != 1 || !slices.Contains(left[0].GetRepoTags(), containerd.SandboxImage) {
		t.Errorf("left %v, %v", left, err)
	}

	o.ImageGC, o.CRI.Images = policy.GCOptions{MaxAge: time.Hour}, nil
	if _, err := local.Open(o); err == nil || !strings.Contains(err.Error(), "ListImages") {
		t.Errorf("ImageGC with images that cannot be removed: %v", err)
	}
}
