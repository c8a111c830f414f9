package local

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc"
	_ "github.com/lifepod/lifepod/container/runc/reexec" // the program is its own supervisor where none is prebuilt
	"github.com/lifepod/lifepod/cri"
	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/policy"
	"github.com/lifepod/lifepod/lifecycle"
	"github.com/lifepod/lifepod/lifecycle/local/imagegc"
	"github.com/lifepod/lifepod/lifecycle/podcgroup"
	"github.com/lifepod/lifepod/netns"
	"github.com/lifepod/lifepod/netns/bridge"
	"github.com/lifepod/lifepod/volume"
)

// blocks are what a node is made of.
type blocks struct {
	name       string // of the runtime
	runtime    lifecycle.Runtime
	images     lifecycle.Images
	store      *image.Store // nil with another CRI
	gc         *imagegc.Collector
	containers container.Runtime
	volumes    *volume.Manager
	cgroups    Cgroups
	cgroup     podcgroup.Options

	closers []func() error // in the order in which they were opened
}

// open makes the blocks, the node's own where the options name none.
func (b *blocks) open(n *Node) error {
	b.volumes = volume.New(volume.Options{
		Allocatable: n.node.Allocatable, Protected: []string{n.o.Root, n.o.Run}, Plugins: n.o.VolumePlugins,
	})
	own, err := cgroups.Open(cgroups.Options{Root: n.o.CgroupRoot}) // also to know the machine
	if err != nil {
		return err
	}
	if b.cgroups = n.o.Cgroups; b.cgroups == nil {
		b.cgroups = own
	}
	b.cgroup = podcgroup.Options{
		Root: n.o.CgroupRoot, Cgroup2: own.Unified(), HugePageSizes: own.HugePageSizes(),
		MemoryCapacity: n.node.Capacity.Memory().Value(), MemoryAllocatable: n.node.Allocatable.Memory().Value(),
	}
	if own.CountsSwap() {
		b.cgroup.Swap = podcgroup.NoSwap
	}
	if c := n.o.CRI; c != nil {
		b.name, b.runtime, b.images = c.Name, c.Runtime, c.Images
		return b.collectOn(n, c)
	}
	return b.openRuntime(n)
}

// collectOn lets images of another runtime go, if the options say when.
func (b *blocks) collectOn(n *Node, c *CRI) error {
	if n.o.ImageGC == (policy.GCOptions{}) {
		return nil
	}
	images, ok := c.Images.(imagegc.Images)
	if !ok {
		return fmt.Errorf("ImageGC is set, but the images of the CRI %q cannot be listed and removed: Images needs ListImages, RemoveImage and ImageFsInfo", c.Name)
	}
	store := &imagegc.CRI{Images: images, Containers: c.Runtime}
	b.gc = imagegc.New(store, imagegc.Options{GCOptions: n.o.ImageGC, Event: n.onNodeEvent, Log: n.o.Log})
	b.images = roomy{c.Images, b.gc}
	return nil
}

// openRuntime makes lifepod's own CRI runtime of image, netns, cgroups and
// container.
func (b *blocks) openRuntime(n *Node) error {
	var err error
	if b.store, err = image.Open(n.o.Root, n.o.Images); err != nil {
		return err
	}
	b.closers = append(b.closers, b.store.Close)
	// First, to be closed last: its last user takes the run directory away.
	if b.containers = n.o.Containers; b.containers == nil {
		rt, err := runc.Open(n.o.supervised())
		if err != nil {
			return err
		}
		b.closers = append(b.closers, rt.Close)
		b.containers = rt
	}
	network, err := b.network(n)
	if err != nil {
		return err
	}
	adapter := cri.NewStore(b.store, n.o.Pull)
	rt, err := cri.New(context.Background(), cri.Options{
		Root: n.o.Root, Run: n.o.Run, Images: adapter, Roots: adapter, Runtime: b.containers, Network: network,
		Cgroups: b.cgroups, CgroupRoot: n.o.CgroupRoot, Log: n.o.Log,
	})
	if err != nil {
		return err
	}
	b.closers = append(b.closers, func() error { return rt.Close(context.Background()) })
	b.gc = imagegc.New(b.store, imagegc.Options{GCOptions: n.o.ImageGC, Event: n.onNodeEvent, Log: n.o.Log})
	b.name, b.runtime, b.images = "lifepod", rt, roomy{rt, b.gc}
	return nil
}

// linger keeps the bridge and the QoS tiers' cgroups for the next pod; Close ends
// it.
const linger = 2 * time.Second

func (b *blocks) network(n *Node) (netns.Network, error) {
	if n.o.Network != nil {
		return n.o.Network, nil
	}
	nw, err := bridge.New(bridge.Options{ID: n.id, Dir: filepath.Join(n.o.Run, "net"), Pools: n.o.Pools, Linger: linger})
	if err != nil {
		return nil, err
	}
	b.closers = append(b.closers, nw.Close)
	return nw, nil
}

func (b *blocks) close() error {
	var err error
	for i := len(b.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, b.closers[i]())
	}
	b.closers = nil
	return err
}
