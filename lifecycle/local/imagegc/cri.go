package imagegc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/policy"
)

// Images is what a collector needs of a CRI image service.
type Images interface {
	ListImages(ctx context.Context, filter *runtimeapi.ImageFilter) ([]*runtimeapi.Image, error)
	RemoveImage(ctx context.Context, image *runtimeapi.ImageSpec) error
	ImageFsInfo(ctx context.Context) (*runtimeapi.ImageFsInfoResponse, error)
}

// Containers is what a collector needs to know which images are in use.
type Containers interface {
	ListContainers(ctx context.Context, filter *runtimeapi.ContainerFilter) ([]*runtimeapi.Container, error)
	ContainerStatus(ctx context.Context, containerID string, verbose bool) (*runtimeapi.ContainerStatusResponse, error)
}

// CRI is a [Store] of the images of any CRI runtime on this machine. As in the
// kubelet, what a runtime does not tell begins with this value: an image came when
// it was first listed, and was last used when a container was seen to have it. Its
// methods are safe for concurrent use.
type CRI struct {
	Images     Images
	Containers Containers

	mu   sync.Mutex // held by who collects
	seen map[string]sighting
}

// sighting is what is remembered of an image from one list to the next.
type sighting struct{ first, used time.Time }

// FreeSpace implements [Store]. Of o it heeds the GCOptions, Since and Disk.
func (c *CRI) FreeSpace(ctx context.Context, o image.SpaceOptions) (image.Freed, error) {
	return c.free(ctx, func(now time.Time, images []policy.Candidate) (policy.GC, error) {
		disk := o.Disk
		if disk == nil {
			disk = func() (policy.Disk, error) { return c.disk(ctx) }
		}
		d, err := disk()
		if err == nil {
			err = d.Check()
		}
		return policy.Collect(now, o.Since, o.GCOptions, d, images), err
	})
}

// Prune implements [Store].
func (c *CRI) Prune(ctx context.Context, o image.SpaceOptions) (image.Freed, error) {
	return c.free(ctx, func(now time.Time, images []policy.Candidate) (policy.GC, error) {
		return policy.Unused(now, o.GCOptions, images), nil
	})
}

func (c *CRI) free(ctx context.Context, decide func(time.Time, []policy.Candidate) (policy.GC, error)) (freed image.Freed, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	images, err := c.look(ctx, now)
	if err != nil {
		return freed, err
	}
	g, err := decide(now, images)
	if err != nil {
		return freed, err
	}
	sizes := map[string]int64{}
	for _, i := range images {
		sizes[i.ID] = i.Size
	}
	for _, id := range g.Delete {
		if rerr := c.Images.RemoveImage(ctx, &runtimeapi.ImageSpec{Image: id}); rerr != nil {
			err = errors.Join(err, rerr)
			continue
		}
		delete(c.seen, id)
		freed.Images, freed.Bytes = append(freed.Images, digest.Digest(id)), freed.Bytes+sizes[id]
	}
	return freed, g.Err(freed.Bytes, err)
}

// look lists the images and remembers what it sees.
func (c *CRI) look(ctx context.Context, now time.Time) ([]policy.Candidate, error) {
	list, err := c.Images.ListImages(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	used, err := c.used(ctx)
	if err != nil {
		return nil, err
	}
	seen := map[string]sighting{}
	var images []policy.Candidate
	for _, i := range list {
		s, ok := c.seen[i.GetId()]
		if !ok {
			s.first = now
		}
		if used[i.GetId()] {
			s.used = now
		}
		seen[i.GetId()] = s
		images = append(images, policy.Candidate{
			ID: i.GetId(), Size: int64(i.GetSize()), FirstSeen: s.first, LastUsed: s.used, //nolint:gosec // no image has 8 EiB
			InUse: used[i.GetId()], Pinned: i.GetPinned(),
		})
	}
	c.seen = seen
	return images, nil
}

// used are the images of all containers, also of those that have ended, and of
// their image volumes.
func (c *CRI) used(ctx context.Context) (map[string]bool, error) {
	list, err := c.Containers.ListContainers(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	used := map[string]bool{}
	for _, ctr := range list {
		id := ctr.GetImageId()
		if id == "" { // runtimes from before Kubernetes 1.30
			id = ctr.GetImageRef()
		}
		used[id] = true
		st, err := c.Containers.ContainerStatus(ctx, ctr.GetId(), false)
		if err != nil {
			return nil, fmt.Errorf("get container status: %w", err)
		}
		for _, m := range st.GetStatus().GetMounts() {
			if m.GetImage() != nil {
				used[m.GetImage().GetImage()] = true
			}
		}
	}
	return used, nil
}

// disk measures the filesystem that the runtime keeps images on.
func (c *CRI) disk(ctx context.Context) (policy.Disk, error) {
	info, err := c.Images.ImageFsInfo(ctx)
	if err != nil {
		return policy.Disk{}, fmt.Errorf("image filesystem: %w", err)
	}
	if len(info.GetImageFilesystems()) == 0 {
		return policy.Disk{}, errors.New("the runtime tells no image filesystem")
	}
	at := info.GetImageFilesystems()[0].GetFsId().GetMountpoint()
	d, err := image.DiskOf(at)
	if err != nil {
		return d, fmt.Errorf("image filesystem %s: %w", at, err)
	}
	return d, nil
}
