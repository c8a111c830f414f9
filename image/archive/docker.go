package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/lifepod/lifepod/image"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// dockerImage is an entry of docker save's manifest.json.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// maxLayers is the most that an image may have.
const maxLayers = 500

// dockerImages lists the images of an archive of docker save. It has no
// manifests; they are made up here, so that their digest is no registry's.
func dockerImages(ctx context.Context, f files) ([]found, error) {
	var entries []dockerImage
	err := readJSON(f, fileManifest, &entries)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing(f)
	}
	if err != nil {
		return nil, err
	}
	var list []found
	for _, e := range entries {
		i, err := e.find(ctx, f)
		if err != nil {
			return nil, err
		}
		list = append(list, i)
	}
	if len(list) == 0 {
		return nil, invalid("%s lists no image", fileManifest)
	}
	return list, nil
}

func missing(f files) error {
	r, _, err := f.open(fileRepositories)
	if err != nil {
		return invalid("neither %s nor %s is in it: it is no OCI image layout and no archive of docker save", fileLayout, fileManifest)
	}
	_ = r.Close()
	return invalid("%s is missing: an archive of a Docker older than 1.10, save it again with a current one", fileManifest)
}

// find makes a manifest for an entry and says which files its blobs are.
func (e dockerImage) find(ctx context.Context, f files) (found, error) {
	if len(e.Layers) > maxLayers {
		return found{}, invalid("%s: %d layers, at most %d are supported", fileManifest, len(e.Layers), maxLayers)
	}
	var config json.RawMessage
	if err := readJSON(f, e.Config, &config); err != nil {
		return found{}, e.wrap(e.Config, err)
	}
	var c ocispec.Image
	if err := json.Unmarshal(config, &c); err != nil {
		return found{}, e.wrap(e.Config, err)
	}
	if len(c.RootFS.DiffIDs) != len(e.Layers) {
		return found{}, invalid("%s: %d diff IDs for %d layers", e.Config, len(c.RootFS.DiffIDs), len(e.Layers))
	}
	src := &docker{blobs: blobs{files: f}, paths: map[digest.Digest]string{}, made: map[digest.Digest][]byte{}}
	src.path = func(d digest.Digest) (string, bool) { p, ok := src.paths[d]; return p, ok }
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: src.make(ocispec.MediaTypeImageConfig, config), Layers: []ocispec.Descriptor{},
	}
	for i, path := range e.Layers {
		d, err := describe(ctx, f, path, c.RootFS.DiffIDs[i])
		if err != nil {
			return found{}, e.wrap(path, err)
		}
		src.paths[d.Digest] = path
		m.Layers = append(m.Layers, d)
	}
	b, err := json.Marshal(m)
	if err != nil {
		return found{}, err
	}
	return found{Source: src, top: src.make(m.MediaType, b), names: e.RepoTags}, nil
}

func (e dockerImage) wrap(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return invalid("%s names %q, which is missing", fileManifest, path)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// describe tells what blob a layer's file is. A plain one is what the config
// says it is, which the store verifies; of a packed one the digest is not known
// before it is read.
func describe(ctx context.Context, f files, path string, diff digest.Digest) (ocispec.Descriptor, error) {
	r, size, err := f.open(path)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer r.Close()
	head := make([]byte, 4)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return ocispec.Descriptor{}, err
	}
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Size: size, Digest: diff}
	switch packing(head[:n]) {
	case gzipped:
		d.MediaType = ocispec.MediaTypeImageLayerGzip
	case zstandard:
		d.MediaType = ocispec.MediaTypeImageLayerZstd
	default:
		return d, nil
	}
	d.Digest, err = digest.FromReader(io.MultiReader(bytes.NewReader(head[:n]), &until{ctx, r}))
	return d, err
}

// docker is the source of an image whose manifest is made up.
type docker struct {
	blobs
	paths map[digest.Digest]string
	made  map[digest.Digest][]byte
}

// make keeps a small blob.
func (s *docker) make(mediaType string, b []byte) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
	s.made[d.Digest] = b
	return d
}

// Blob implements [image.Source].
func (s *docker) Blob(ctx context.Context, d ocispec.Descriptor, w io.Writer) error {
	if b, ok := s.made[d.Digest]; ok {
		_, err := w.Write(b)
		return err
	}
	return s.blobs.Blob(ctx, d, w)
}

var _ image.Source = (*docker)(nil)
