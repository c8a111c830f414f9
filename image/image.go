// Package image pulls OCI images into a content-addressable store, verifies
// every byte, and mounts them: no daemon, no Docker.
//
// Open a [Store], Pull an image, Prepare a snapshot of it under a key, and
// MountAll what Prepare returned, through MapIDs for a user namespace. Undo is
// Unmount, RemoveSnapshot and Remove.
// Pure decisions (names, policies, messages, what to delete) are in
// image/policy, keyrings in image/credentials, a registry with faults and a
// fake store in image/imagetest.
package image

import (
	"errors"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image is one image in a store.
type Image struct {
	// ID is the digest of the image's config.
	ID digest.Digest
	// Tags are normalised references with a tag, Digests with a digest
	// ("docker.io/library/busybox@sha256:…").
	Tags, Digests []string
	// Size is the sum of its compressed blobs, in bytes.
	Size int64
	// ChainIDs names the snapshot of each layer, lowest first.
	ChainIDs []digest.Digest
	Config   ocispec.Image
	Pinned   bool
	// Since is when the store got it, LastUsed when it was last pulled or
	// prepared.
	Since, LastUsed time.Time
}

// Mount is what a snapshot needs to become visible at Target, as mount(8) takes
// it but for the maps of ids.
type Mount struct {
	Type, Source, Target string
	Options              []string
	// UIDs and GIDs, if set, show owners as a user namespace with these maps has
	// them: see [MapIDs].
	UIDs, GIDs []IDMap
}

// IDMap maps Size ids from Inside, those of a user namespace and of the files on
// the disk, to as many from Outside, those of the machine.
type IDMap struct {
	Inside, Outside, Size uint32
}

// MapIDs returns mounts that show what Prepare or View made to a user namespace:
// root's files belong to the namespace's root, and what its processes write lies
// on the disk as if no namespace were there, so that the same snapshot can be
// mounted with other maps later. Both maps are needed. Owners that they do not
// have show as nobody's.
//
// It is done by mounts of the layers with mapped ids, which needs Linux 5.12, for
// overlayfs 5.19, and a filesystem that can do it: the error of MountAll names
// what cannot.
func MapIDs(mounts []Mount, uids, gids []IDMap) []Mount {
	mapped := slices.Clone(mounts)
	for i := range mapped {
		mapped[i].UIDs, mapped[i].GIDs = uids, gids
	}
	return mapped
}

// ErrNotFound is for an image or snapshot that the store does not hold.
var ErrNotFound = errors.New("image not found")
