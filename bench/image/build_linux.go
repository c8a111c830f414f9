package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// built is a layer as the manifest and the config name it.
type built struct {
	desc    ocispec.Descriptor
	diffID  digest.Digest
	entries int
}

// build writes the image as an OCI layout below dir: gzip as Go's standard
// library packs it by default, as container tools do, or zstd at its default.
func build(dir, compression string, layers [][]file) error {
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	all := make([]built, len(layers))
	var g errgroup.Group
	g.SetLimit(runtime.NumCPU())
	for i, files := range layers {
		g.Go(func() error {
			var err error
			if all[i], err = buildLayer(blobs, compression, files); err != nil {
				return fmt.Errorf("build layer %d: %w", i, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	config := ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}, RootFS: ocispec.RootFS{Type: "layers"},
	}
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	for _, l := range all {
		manifest.Layers = append(manifest.Layers, l.desc)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.diffID)
	}
	var err error
	if manifest.Config, err = putJSON(blobs, ocispec.MediaTypeImageConfig, config); err != nil {
		return err
	}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	d, err := putJSON(blobs, ocispec.MediaTypeImageManifest, manifest)
	if err != nil {
		return err
	}
	index.Manifests = []ocispec.Descriptor{d}
	b, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, ocispec.ImageIndexFile), b, 0o644) // last: a layout that has it is whole
}

func putJSON(blobs, mediaType string, v any) (ocispec.Descriptor, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
	return d, os.WriteFile(filepath.Join(blobs, d.Digest.Encoded()), b, 0o644)
}

func buildLayer(blobs, compression string, files []file) (built, error) {
	f, err := os.CreateTemp(blobs, ".layer-")
	if err != nil {
		return built{}, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	packed, plain := digest.SHA256.Digester(), digest.SHA256.Digester()
	out := io.MultiWriter(f, packed.Hash())
	w, mediaType, err := packer(compression, out)
	if err != nil {
		return built{}, err
	}
	b := built{}
	if b.entries, err = archive(io.MultiWriter(w, plain.Hash()), files); err != nil {
		return b, err
	}
	if err := w.Close(); err != nil {
		return b, err
	}
	fi, err := f.Stat()
	if err != nil {
		return b, err
	}
	b.desc = ocispec.Descriptor{MediaType: mediaType, Digest: packed.Digest(), Size: fi.Size()}
	b.diffID = plain.Digest()
	return b, os.Rename(f.Name(), filepath.Join(blobs, b.desc.Digest.Encoded()))
}

func packer(compression string, w io.Writer) (io.WriteCloser, string, error) {
	switch compression {
	case "gzip":
		return gzip.NewWriter(w), ocispec.MediaTypeImageLayerGzip, nil
	case "zstd":
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		return z, ocispec.MediaTypeImageLayerZstd, err
	}
	return nil, "", fmt.Errorf("unknown compression %q: gzip and zstd are known", compression)
}

// archive writes a layer: each directory before what is in it, as image tools do.
func archive(w io.Writer, files []file) (entries int, err error) {
	tw := tar.NewWriter(w)
	seen := map[string]bool{}
	for _, f := range files {
		n, err := addParents(tw, f.under, path.Dir(f.path), seen)
		if err == nil {
			err = add(tw, f.under, f.path)
		}
		if err != nil {
			return entries, err
		}
		entries += n + 1
	}
	return entries, tw.Close()
}

func addParents(tw *tar.Writer, under, dir string, seen map[string]bool) (n int, err error) {
	if dir == "/" || seen[under+dir] {
		return 0, nil
	}
	seen[under+dir] = true
	if n, err = addParents(tw, under, path.Dir(dir), seen); err != nil {
		return n, err
	}
	return n + 1, add(tw, under, dir)
}

func add(tw *tar.Writer, under, p string) error {
	fi, err := os.Lstat(p)
	if err != nil {
		return err
	}
	link := ""
	if fi.Mode().Type() == os.ModeSymlink {
		if link, err = os.Readlink(p); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(fi, link)
	if err != nil {
		return err
	}
	h.Name = under + strings.TrimPrefix(p, "/")
	if fi.IsDir() {
		h.Name += "/"
	}
	if err := tw.WriteHeader(h); err != nil || !fi.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(p)
	if err != nil {
		return err
	}
	_, err = io.Copy(tw, f)
	return errors.Join(err, f.Close())
}
