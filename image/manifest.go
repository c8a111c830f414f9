package image

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lifepod/lifepod/image/remote"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxLayers bounds the layers of an image: overlayfs stacks no more.
const maxLayers = 500

// document is a manifest or an index, as it comes from a registry.
type document struct {
	SchemaVersion int                  `json:"schemaVersion"`
	MediaType     string               `json:"mediaType"`
	ArtifactType  string               `json:"artifactType"`
	Config        *ocispec.Descriptor  `json:"config"`
	Layers        []ocispec.Descriptor `json:"layers"`
	Manifests     []ocispec.Descriptor `json:"manifests"`
	FSLayers      []json.RawMessage    `json:"fsLayers"`
}

var errManifest = errors.New("invalid manifest")

// decode reads a manifest or an index. mediaType is what the registry or the
// index said it is; a document that says otherwise, or that could be read as
// both, is refused.
func decode(mediaType string, b []byte) (*document, error) {
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("%w: %w", errManifest, err)
	}
	if d.SchemaVersion == 1 || d.FSLayers != nil || mediaType == remote.DockerSchema1 || mediaType == remote.DockerSchema1+"+prettyjws" {
		return nil, fmt.Errorf("%w: Docker schema 1 is not supported: push the image again with a current tool", errManifest)
	}
	if d.SchemaVersion != 2 {
		return nil, fmt.Errorf("%w: schemaVersion %d, expected 2", errManifest, d.SchemaVersion)
	}
	if d.MediaType != "" && known(mediaType) && d.MediaType != mediaType {
		return nil, fmt.Errorf("%w: it says it is %q and came as %q", errManifest, d.MediaType, mediaType)
	}
	if (d.Config != nil || d.Layers != nil) && d.Manifests != nil {
		return nil, fmt.Errorf("%w: both an index and a manifest", errManifest)
	}
	if d.MediaType == "" {
		d.MediaType = mediaType
	}
	if d.index() {
		return &d, d.validIndex()
	}
	return &d, d.validManifest()
}

func known(mediaType string) bool {
	switch mediaType {
	case ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, remote.DockerIndex, remote.DockerManifest:
		return true
	}
	return false
}

func (d *document) index() bool { return d.Manifests != nil }

func (d *document) validIndex() error {
	for _, m := range d.Manifests {
		if err := validDescriptor(m); err != nil {
			return fmt.Errorf("%w: manifest %q: %w", errManifest, m.Digest, err)
		}
	}
	if len(d.Manifests) == 0 {
		return fmt.Errorf("%w: an empty index", errManifest)
	}
	return nil
}

func (d *document) validManifest() error {
	switch {
	case d.Config == nil:
		return fmt.Errorf("%w: no config", errManifest)
	case d.Config.MediaType != ocispec.MediaTypeImageConfig && d.Config.MediaType != remote.DockerConfig:
		kind := d.ArtifactType
		if kind == "" {
			kind = d.Config.MediaType
		}
		return fmt.Errorf("%w: it is an artifact of type %q, not a container image", errManifest, kind)
	case len(d.Layers) > maxLayers:
		return fmt.Errorf("%w: %d layers, at most %d are supported", errManifest, len(d.Layers), maxLayers)
	}
	for _, l := range append([]ocispec.Descriptor{*d.Config}, d.Layers...) {
		if err := validDescriptor(l); err != nil {
			return fmt.Errorf("%w: blob %q: %w", errManifest, l.Digest, err)
		}
	}
	return nil
}

func validDescriptor(d ocispec.Descriptor) error {
	if d.Size < 0 {
		return fmt.Errorf("size %d", d.Size)
	}
	return d.Digest.Validate()
}

// decodeConfig reads an image's config and pairs its diff IDs with the layers.
func decodeConfig(b []byte, layers int) (ocispec.Image, error) {
	var c ocispec.Image
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("invalid image config: %w", err)
	}
	if len(c.RootFS.DiffIDs) != layers {
		return c, fmt.Errorf("invalid image config: %d diff IDs for %d layers", len(c.RootFS.DiffIDs), layers)
	}
	for _, d := range c.RootFS.DiffIDs {
		if err := d.Validate(); err != nil {
			return c, fmt.Errorf("invalid image config: diff ID %q: %w", d, err)
		}
	}
	return c, nil
}

// chainIDs names the snapshots that a list of layers makes, one on the other.
func chainIDs(diffs []digest.Digest) []digest.Digest {
	chain := make([]digest.Digest, len(diffs))
	for i, d := range diffs {
		chain[i] = d
		if i > 0 {
			chain[i] = digest.FromString(chain[i-1].String() + " " + d.String())
		}
	}
	return chain
}
