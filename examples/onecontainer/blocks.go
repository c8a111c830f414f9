package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc"
	_ "github.com/lifepod/lifepod/container/runc/reexec"
	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/netns"
	"github.com/lifepod/lifepod/netns/bridge"
)

// blocks are the parts that a container is made of here.
type blocks struct {
	root, run, cgroup string
	options           runc.Options
	images            *image.Store
	img               image.Image
	network           *bridge.Network
	cgroups           *cgroups.Manager
	runtime           *runc.Runtime
}

// open makes the blocks and pulls the image.
func open(ctx context.Context, root, demo string) (*blocks, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(root, "log"), 0o755); err != nil {
		return nil, err
	}
	id := runc.RootID(root)
	b := &blocks{root: root, run: "/run/lifepod-" + id, cgroup: "/lifepod-" + id}
	b.options = runc.Options{Root: root, Run: b.run, CgroupRoot: b.cgroup}
	if b.images, err = image.Open(root, image.Options{}); err != nil {
		return nil, err
	}
	if err := b.pull(ctx, demo); err != nil {
		return nil, err
	}
	if b.network, err = bridge.New(bridge.Options{ID: id, Dir: filepath.Join(b.run, "net")}); err != nil {
		return nil, err
	}
	if b.cgroups, err = cgroups.Open(cgroups.Options{Root: b.cgroup}); err != nil {
		return nil, err
	}
	b.runtime, err = runc.Open(b.options)
	return b, err
}

// pull serves an image of one program on loopback and pulls it from there.
func (b *blocks) pull(ctx context.Context, demo string) error {
	program, err := os.ReadFile(demo)
	if err != nil {
		return fmt.Errorf("%w; build it with make build", err)
	}
	registry := &imagetest.Registry{}
	img := imagetest.Image{Layers: []imagetest.Layer{imagetest.Program("demo", program)}}
	if _, err := registry.Add("demo:v1", img); err != nil {
		return err
	}
	host, stop, err := registry.Start()
	if err != nil {
		return err
	}
	defer stop()
	b.img, err = b.images.Pull(ctx, host+"/demo:v1", image.PullOptions{})
	return err
}

func (b *blocks) rootfs(id string) string { return filepath.Join(b.run, "rootfs", id) }
func (b *blocks) pins(id string) string   { return filepath.Join(b.run, "ns", id) }
func (b *blocks) log(id string) string    { return filepath.Join(b.root, "log", id+".log") }
func (b *blocks) pod(id string) string    { return b.cgroup + "/" + id }

// start runs one container with args of the demo program.
func (b *blocks) start(ctx context.Context, id string, args ...string) error {
	mounts, err := b.images.Prepare(ctx, id, b.img.ID)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.rootfs(id), 0o700); err != nil {
		return err
	}
	if err := image.MountAll(mounts, b.rootfs(id)); err != nil {
		return err
	}
	pins, err := netns.Create(b.pins(id), netns.Net|netns.IPC|netns.UTS, netns.Options{Hostname: id})
	if err != nil {
		return err
	}
	net, err := b.network.Setup(ctx, netns.Attachment{ID: id, Path: pins.Net})
	if err != nil {
		return err
	}
	fmt.Printf("%s has %v on the built-in bridge\n", id, net.Addrs)
	memory := int64(64 << 20)
	if err := b.cgroups.Ensure(ctx, b.pod(id), cgroups.Values{Memory: &memory}); err != nil {
		return err
	}
	_ = os.Remove(b.log(id)) // of an earlier run
	spec := container.Spec{ID: id, Log: b.log(id), OCI: ociSpec(b.rootfs(id), b.pod(id)+"/"+id, pins, args)}
	if err := b.runtime.Create(ctx, spec); err != nil {
		return err
	}
	return b.runtime.Start(ctx, id)
}

// wait returns when the container has the status, however it came to be.
func (b *blocks) wait(ctx context.Context, id string, want container.Status) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		st, err := b.runtime.State(ctx, id)
		if err == nil && st.Status == want {
			return nil
		} else if err != nil && !errors.Is(err, container.ErrNotFound) {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("container %s is not %s: %w", id, want, ctx.Err())
		}
	}
}

// runToEnd runs a container, waits for it, and removes it.
func (b *blocks) runToEnd(ctx context.Context, id string, args ...string) (container.State, error) {
	err := b.start(ctx, id, args...)
	if err == nil {
		err = b.wait(ctx, id, container.Stopped)
	}
	var st container.State
	if err == nil {
		st, err = b.runtime.State(ctx, id)
	}
	return st, errors.Join(err, b.remove(ctx, id))
}

// remove undoes start, as far as it came, in reverse.
func (b *blocks) remove(ctx context.Context, id string) error {
	ctx = context.WithoutCancel(ctx)
	return errors.Join(
		b.runtime.Delete(ctx, id),
		b.cgroups.Remove(ctx, b.pod(id)),
		b.network.Teardown(ctx, netns.Attachment{ID: id, Path: netns.Paths(b.pins(id), netns.Net).Net}),
		netns.Remove(b.pins(id)),
		image.Unmount(b.rootfs(id)),
		os.RemoveAll(b.rootfs(id)),
		b.images.RemoveSnapshot(ctx, id),
	)
}

// close leaves nothing but images and logs, once the supervisor has ended, too.
func (b *blocks) close(ctx context.Context) error {
	for _, dir := range []string{b.rootfs(""), b.pins("")} {
		_ = os.Remove(dir) // what another still uses is not empty
	}
	return errors.Join(b.runtime.Close(), b.network.Close(), b.images.Close(), b.cgroups.Prune(ctx, b.cgroup))
}
