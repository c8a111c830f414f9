package imagegc

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/policy"
)

// fakeRuntime is a CRI runtime of images and containers.
type fakeRuntime struct {
	images     []*runtimeapi.Image
	containers []*runtimeapi.Container
	mounts     []*runtimeapi.Mount // of every container
	mountpoint string
	keep       string // an image that cannot be removed
}

func (f *fakeRuntime) ListImages(context.Context, *runtimeapi.ImageFilter) ([]*runtimeapi.Image, error) {
	return slices.Clone(f.images), nil
}

func (f *fakeRuntime) RemoveImage(_ context.Context, spec *runtimeapi.ImageSpec) error {
	if spec.GetImage() == f.keep {
		return errors.New("read-only file system")
	}
	f.images = slices.DeleteFunc(f.images, func(i *runtimeapi.Image) bool { return i.GetId() == spec.GetImage() })
	return nil
}

func (f *fakeRuntime) ImageFsInfo(context.Context) (*runtimeapi.ImageFsInfoResponse, error) {
	if f.mountpoint == "" {
		return &runtimeapi.ImageFsInfoResponse{}, nil
	}
	return &runtimeapi.ImageFsInfoResponse{ImageFilesystems: []*runtimeapi.FilesystemUsage{{FsId: &runtimeapi.FilesystemIdentifier{Mountpoint: f.mountpoint}}}}, nil
}

func (f *fakeRuntime) ListContainers(context.Context, *runtimeapi.ContainerFilter) ([]*runtimeapi.Container, error) {
	return f.containers, nil
}

func (f *fakeRuntime) ContainerStatus(context.Context, string, bool) (*runtimeapi.ContainerStatusResponse, error) {
	return &runtimeapi.ContainerStatusResponse{Status: &runtimeapi.ContainerStatus{Mounts: f.mounts}}, nil
}

func (f *fakeRuntime) left() string {
	var ids []string
	for _, i := range f.images {
		ids = append(ids, i.GetId())
	}
	return strings.Join(ids, " ")
}

// sixImages are of 20 bytes each: sandbox is pinned, and containers have new, old
// (by its reference, as old runtimes tell it) and, as a volume, data.
func sixImages() *fakeRuntime {
	f := &fakeRuntime{
		containers: []*runtimeapi.Container{{Id: "1", ImageId: "new", ImageRef: "elsewhere"}, {Id: "2", ImageRef: "old"}},
		mounts:     []*runtimeapi.Mount{{ContainerPath: "/etc/hosts"}, {Image: &runtimeapi.ImageSpec{Image: "data"}}},
	}
	for _, id := range []string{"sandbox", "new", "old", "data", "a", "b"} {
		f.images = append(f.images, &runtimeapi.Image{Id: id, Size: 20, Pinned: id == "sandbox"})
	}
	return f
}

// What nothing uses goes once it was watched for long enough, the least recently
// used first, as far as is needed.
func TestCRI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := sixImages()
		c := &CRI{Images: f, Containers: f}
		available := int64(15)
		o := image.SpaceOptions{Since: time.Now(), Disk: func() (policy.Disk, error) { return policy.Disk{Capacity: 100, Available: available}, nil }}
		free := func() (image.Freed, error) { return c.FreeSpace(t.Context(), o) }

		if _, err := free(); reason(err) != image.ReasonFreeDiskSpace || f.left() != "sandbox new old data a b" {
			t.Errorf("all are new: left %s, %v", f.left(), err)
		}
		f.containers = append(f.containers, &runtimeapi.Container{Id: "3", ImageId: "a"})
		pass(time.Minute)
		if _, err := free(); reason(err) != image.ReasonFreeDiskSpace {
			t.Error(err)
		}
		f.containers = f.containers[:2] // a was used, b never
		pass(time.Minute)
		if freed, err := free(); err != nil || f.left() != "sandbox new old data a" || freed.Bytes != 20 || len(freed.Images) != 1 {
			t.Errorf("left %s, freed %+v, %v", f.left(), freed, err)
		}
		available = 20
		if freed, err := free(); err != nil || len(freed.Images) != 0 {
			t.Errorf("below the threshold: %+v, %v", freed, err)
		}
		f.keep = "a"
		if freed, err := c.Prune(t.Context(), o); err == nil || !strings.Contains(err.Error(), "errors in image deletion: read-only file system") || some(freed) {
			t.Errorf("freed %+v, %v", freed, err)
		}
		f.keep = ""
		if freed, err := c.Prune(t.Context(), o); err != nil || f.left() != "sandbox new old data" || freed.Bytes != 20 {
			t.Errorf("left %s, freed %+v, %v", f.left(), freed, err)
		}
		f.images = append(f.images, &runtimeapi.Image{Id: "a", Size: 20}) // it came again, and is new again
		if _, err := c.Prune(t.Context(), o); err != nil || f.left() != "sandbox new old data a" {
			t.Errorf("left %s, %v", f.left(), err)
		}
	})
}

func reason(err error) string {
	var r interface{ Reason() string }
	if !errors.As(err, &r) {
		return ""
	}
	return r.Reason()
}

// The disk is the one that the runtime names; nothing goes while it cannot be
// measured.
func TestCRIDisk(t *testing.T) {
	for mountpoint, want := range map[string]string{"": "no image filesystem", "/not/there": "/not/there: no such file", t.TempDir(): ""} {
		f := sixImages()
		f.mountpoint = mountpoint
		o := image.SpaceOptions{GCOptions: policy.GCOptions{HighPercent: 101, LowPercent: 100, MinAge: time.Nanosecond}}
		_, err := (&CRI{Images: f, Containers: f}).FreeSpace(t.Context(), o)
		if want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), want) || len(f.images) != 6 {
			t.Errorf("%q: left %s, %v", mountpoint, f.left(), err)
		}
	}
	f := sixImages()
	o := image.SpaceOptions{Disk: func() (policy.Disk, error) { return policy.Disk{}, nil }}
	if _, err := (&CRI{Images: f, Containers: f}).FreeSpace(t.Context(), o); reason(err) != image.ReasonInvalidDiskCapacity {
		t.Error(err)
	}
}
