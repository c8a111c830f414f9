// Package image pulls OCI images into a content-addressable store, verifies
// every byte, and mounts them: no daemon, no Docker.
//
// Open a [Store], Pull an image, Prepare a snapshot of it under a key, and
// MountAll what Prepare returned. Undo is Unmount, RemoveSnapshot and Remove.
// Pure decisions (names, policies, messages, what to delete) are in
// image/policy, keyrings in image/credentials, a registry with faults and a
// fake store in image/imagetest.
package image

import (
	"errors"
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

// Mount is what a snapshot needs to become visible at Target, as mount(8) takes it.
type Mount struct {
	Type, Source, Target string
	Options              []string
}

// ErrNotFound is for an image or snapshot that the store does not hold.
var ErrNotFound = errors.New("image not found")
