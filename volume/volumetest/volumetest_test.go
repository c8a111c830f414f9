package volumetest_test

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/volume"
	"github.com/lifepod/lifepod/volume/volumetest"
)

func TestFake(t *testing.T) {
	volumetest.Run(t, func(t *testing.T) volumetest.Impl {
		f := &volumetest.Fake{}
		n := 0
		return volumetest.Impl{
			Volumes: f,
			Read:    func(_ *testing.T, path string) map[string]string { return f.Files(path) },
			Dir:     func(*testing.T) string { n++; return fmt.Sprintf("/pods/%d", n) },
		}
	})
}

func ExampleFake() {
	objects := &volumetest.Objects{}
	objects.SetConfigMap("conf", map[string]string{"level": "debug"})
	f := &volumetest.Fake{Fail: func(_ *corev1.Pod, volume string) error {
		if volume == "scratch" {
			return fmt.Errorf("no space left on device")
		}
		return nil
	}}
	pod := volumetest.Pod(volumetest.ConfigMap("conf", false), volumetest.EmptyDir("scratch", ""))
	out, err := f.SetUp(context.Background(), volume.Request{Pod: pod, Dir: "/pods/1", Objects: objects})
	fmt.Println(f.Files(out["conf"].Path))
	fmt.Println(err)
	// Output:
	// map[level:debug]
	// MountVolume.SetUp failed for volume "scratch" : no space left on device
}
