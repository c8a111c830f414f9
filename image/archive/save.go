package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/policy"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Save writes images to w as one tar, which is an OCI image layout and an
// archive for docker load. An image is named by what a store finds it by; found
// by its ID it has no name in the archive. The same images give the same bytes.
// After an error what was written is of no use.
func Save(ctx context.Context, s Exporter, w io.Writer, names ...string) error {
	t := newTarSink(w)
	if err := save(ctx, s, t, names); err != nil {
		return fmt.Errorf("save archive: %w", err)
	}
	if err := t.Close(); err != nil {
		return fmt.Errorf("save archive: %w", err)
	}
	return nil
}

// SaveDir writes images to a new directory, as the same layout. After an error
// there is no directory.
func SaveDir(ctx context.Context, s Exporter, dir string, names ...string) error {
	d, err := newDirSink(dir)
	if err != nil {
		return fmt.Errorf("save images: %w", err)
	}
	err = save(ctx, s, d, names)
	if err == nil {
		err = d.commit()
	}
	if err = errors.Join(err, d.Close()); err != nil {
		return fmt.Errorf("save images to %s: %w", dir, err)
	}
	return nil
}

// sink takes the files of an archive.
type sink interface {
	// file makes a file of size bytes, which write writes.
	file(name string, size int64, write func(io.Writer) error) error
}

func save(ctx context.Context, s Exporter, to sink, names []string) error {
	if len(names) == 0 {
		return errors.New("no image is named")
	}
	var l saved
	for _, n := range names {
		e, err := s.Export(ctx, n)
		if err != nil {
			return err
		}
		defer e.Close() // all are held until everything is written
		if err := l.add(ctx, e); err != nil {
			return err
		}
	}
	if err := l.writeIndex(to); err != nil {
		return err
	}
	done := map[digest.Digest]bool{}
	for _, e := range l.exports {
		for _, d := range e.Blobs {
			if path, ok := blobPath(d.Digest); ok && !done[d.Digest] {
				done[d.Digest] = true
				if err := to.file(path, d.Size, func(w io.Writer) error { return e.Blob(ctx, d, w) }); err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
			}
		}
	}
	return nil
}

// saved is what the index files of an archive say.
type saved struct {
	exports      []*image.Export
	index        ocispec.Index
	docker       []dockerImage
	at           map[digest.Digest]int // in docker, by manifest
	repositories map[string]map[string]string
}

func (l *saved) add(ctx context.Context, e *image.Export) error {
	var b buffer
	if err := e.Blob(ctx, e.Manifest, &b); err != nil {
		return err
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("manifest %s: %w", e.Manifest.Digest, err)
	}
	l.exports = append(l.exports, e)
	d := e.Top
	if e.Name != "" {
		d.Annotations = map[string]string{annotationName: e.Name}
	}
	ref, err := policy.Parse(e.Name)
	tagged := err == nil && ref.Digest == ""
	if tagged {
		d.Annotations[annotationRef] = ref.Tag
	}
	l.index.Manifests = append(l.index.Manifests, d)
	at, ok := l.at[e.Manifest.Digest]
	if !ok {
		if l.at == nil {
			l.at, l.repositories = map[digest.Digest]int{}, map[string]map[string]string{}
		}
		at = len(l.docker)
		l.at[e.Manifest.Digest] = at
		l.docker = append(l.docker, dockerEntry(m))
	}
	if tagged {
		l.docker[at].RepoTags = append(l.docker[at].RepoTags, ref.Tagged())
		l.tag(ref, m)
	}
	return nil
}

// tag fills repositories, which name the topmost layer.
func (l *saved) tag(ref policy.Reference, m ocispec.Manifest) {
	if len(m.Layers) == 0 {
		return
	}
	if l.repositories[ref.Name()] == nil {
		l.repositories[ref.Name()] = map[string]string{}
	}
	l.repositories[ref.Name()][ref.Tag] = m.Layers[len(m.Layers)-1].Digest.Encoded()
}

func dockerEntry(m ocispec.Manifest) dockerImage {
	e := dockerImage{Layers: []string{}}
	e.Config, _ = blobPath(m.Config.Digest)
	for _, d := range m.Layers {
		p, _ := blobPath(d.Digest)
		e.Layers = append(e.Layers, p)
	}
	return e
}

func (l *saved) writeIndex(to sink) error {
	l.index.Versioned = specs.Versioned{SchemaVersion: 2}
	l.index.MediaType = ocispec.MediaTypeImageIndex
	for _, f := range []struct {
		name string
		v    any
	}{
		{fileLayout, ocispec.ImageLayout{Version: layoutVersion}},
		{fileIndex, l.index},
		{fileManifest, l.docker},
		{fileRepositories, l.repositories},
	} {
		b, err := json.Marshal(f.v)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		err = to.file(f.name, int64(len(b)), func(w io.Writer) error { _, err := w.Write(b); return err })
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

// buffer is a writer into memory, for manifests.
type buffer []byte

func (b *buffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}
