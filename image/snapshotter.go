package image

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lifepod/lifepod/image/layer"
)

// Snapshotter makes root filesystems out of layers, which are directories that
// [layer.Apply] unpacked and nobody changes. Its methods are safe for concurrent
// use; imagetest has the suite that every one passes.
type Snapshotter interface {
	// String names it in logs.
	String() string
	// Unprivileged is how layers have to be unpacked for it: see [layer.Options].
	Unprivileged() bool
	// Prepare puts into dir, which holds the empty directories "fs" (0755) and
	// "work", what a snapshot of the layers, the lowest first, needs. What is
	// written to the snapshot later goes to "fs". After an error dir is deleted.
	Prepare(ctx context.Context, dir string, layers []string, readOnly bool) error
	// Mounts says how to mount what Prepare made in a directory that is called
	// dir by now.
	Mounts(dir string, layers []string, readOnly bool) []Mount
}

// Overlay stacks layers with overlayfs; a snapshot costs two directories. The
// zero value needs root's capabilities.
type Overlay struct {
	// User keeps overlayfs' marks in user attributes, which also the root of a
	// user namespace may set: Linux 5.11.
	User bool
}

// String implements [Snapshotter].
func (o Overlay) String() string {
	if o.User {
		return "overlayfs with userxattr"
	}
	return "overlayfs"
}

// Unprivileged implements [Snapshotter].
func (o Overlay) Unprivileged() bool { return o.User }

// Prepare implements [Snapshotter].
func (o Overlay) Prepare(context.Context, string, []string, bool) error { return nil }

// Mounts implements [Snapshotter]. A layer whose root is opaque ends the list of
// layers: overlayfs does not look at that.
func (o Overlay) Mounts(dir string, layers []string, readOnly bool) []Mount {
	var lowers []string
	for _, l := range slices.Backward(layers) {
		lowers = append(lowers, l)
		if layer.Opaque(l) {
			break
		}
	}
	switch {
	case len(lowers) == 0:
		return bound(filepath.Join(dir, "fs"), readOnly)
	case readOnly && len(lowers) == 1:
		return bound(lowers[0], true)
	}
	for i, l := range lowers {
		lowers[i] = escape(l)
	}
	options := []string{"index=off", "lowerdir=" + strings.Join(lowers, ":")}
	if o.User {
		options = append(options, "userxattr")
	}
	if readOnly {
		options = append(options, "ro")
	} else {
		options = append(options, "upperdir="+escape(filepath.Join(dir, "fs")), "workdir="+escape(filepath.Join(dir, "work")))
	}
	return []Mount{{Type: "overlay", Source: "overlay", Options: options}}
}

// Copy copies the layers for each snapshot: it works everywhere, at the price of
// time and space, less of both where the filesystem shares data between files.
// Without privileges to mount, the root filesystem is the mount's Source.
type Copy struct {
	// User is for processes without root's capabilities.
	User bool
}

// String implements [Snapshotter].
func (Copy) String() string { return "copies" }

// Unprivileged implements [Snapshotter].
func (c Copy) Unprivileged() bool { return c.User }

// Prepare implements [Snapshotter].
func (c Copy) Prepare(ctx context.Context, dir string, layers []string, _ bool) error {
	return layer.Merge(ctx, filepath.Join(dir, "fs"), layers, layer.Options{Unprivileged: c.User})
}

// Mounts implements [Snapshotter].
func (Copy) Mounts(dir string, _ []string, readOnly bool) []Mount {
	return bound(filepath.Join(dir, "fs"), readOnly)
}

func bound(dir string, readOnly bool) []Mount {
	mode := "rw"
	if readOnly {
		mode = "ro"
	}
	return []Mount{{Type: "bind", Source: dir, Options: []string{"rbind", mode}}}
}

var (
	_ Snapshotter = Overlay{}
	_ Snapshotter = Copy{}
)
