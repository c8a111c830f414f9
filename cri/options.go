package cri

import (
	"context"

	"github.com/go-logr/logr"
	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/netns"
)

// Options of a [Runtime]. Root, Run, Images, Roots, Runtime and Network must be
// set.
type Options struct {
	// Root holds what must not lie in memory: the images' anonymous volumes. Run
	// dies with the boot. Both are made below if they do not exist, as <dir>/cri.
	Root, Run string
	// Images pulls and lists, Roots makes root filesystems.
	Images Images
	Roots  Roots
	// Runtime runs the containers of sandboxes without a runtime handler, and
	// Handlers those with one.
	Runtime  container.Runtime
	Handlers map[string]container.Runtime
	// Network joins sandboxes that do not use the node's.
	Network netns.Network
	// Namespaces makes and pins namespaces. Nil means package netns.
	Namespaces Namespaces
	// Cgroups measures, and makes the parent of a sandbox that names none. Nil
	// means that statistics are Unimplemented and that cgroup_parent is required.
	Cgroups Cgroups
	// CgroupRoot is where parents for sandboxes are made that name none, as
	// <CgroupRoot>/<sandbox id>. Empty means /lifepod.
	CgroupRoot string
	// BootID tells two lives of the machine apart. Empty means the kernel's.
	BootID string
	// Version is what Version answers. Empty means 0.0.0.
	Version string
	// Log gets what no caller can be told. The zero value discards it.
	Log logr.Logger

	machine machine // nil means this one; tests have their own
}

// Images is a store of images.
type Images interface {
	// Pull gets an image from its registry.
	Pull(ctx context.Context, ref string, a Auth) (image.Image, error)
	// Get finds an image by tag, by digest or by its ID, and returns
	// image.ErrNotFound.
	Get(ctx context.Context, ref string) (image.Image, error)
	List(ctx context.Context) ([]image.Image, error)
	// Remove removes one tag, or the image when ref is its ID or the last tag.
	// Removing what is not there is not an error.
	Remove(ctx context.Context, ref string) error
	// Usage is the directory of the store and the bytes and inodes in it.
	Usage(ctx context.Context) (Usage, error)
}

// Usage of a directory on disk.
type Usage struct {
	Path          string
	Bytes, Inodes uint64
}

// Auth is how to log in to a registry; the zero value is anonymous.
type Auth struct {
	Username, Password string
	// IdentityToken is exchanged for a token, RegistryToken is one.
	IdentityToken, RegistryToken string
	// Host, if it is set, is the only one that gets them.
	Host string
}

// Roots makes writable root filesystems of images.
type Roots interface {
	// Mount makes a copy of img appear at target, an empty directory. Key is
	// unique and names the copy.
	Mount(ctx context.Context, key string, img image.Image, target string) error
	// Unmount undoes Mount as far as it came, and removes the copy.
	Unmount(ctx context.Context, key, target string) error
}

// Namespaces makes and pins sets of namespaces, as package netns does.
type Namespaces interface {
	Create(dir string, kinds netns.Kinds, o netns.Options) (netns.Pins, error)
	Load(dir string) (netns.Pins, error)
	Remove(dir string) error
}

// Cgroups is what the runtime needs of cgroups.
type Cgroups interface {
	Ensure(ctx context.Context, path string, v cgroups.Values) error
	Remove(ctx context.Context, path string) error
	Stats(ctx context.Context, path string) (cgroups.Stats, error)
}

// pinned is package netns.
type pinned struct{}

func (pinned) Create(dir string, k netns.Kinds, o netns.Options) (netns.Pins, error) {
	return netns.Create(dir, k, o)
}
func (pinned) Load(dir string) (netns.Pins, error) { return netns.Load(dir) }
func (pinned) Remove(dir string) error             { return netns.Remove(dir) }
