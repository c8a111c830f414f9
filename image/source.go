package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/lifepod/lifepod/image/policy"
	"github.com/lifepod/lifepod/image/remote"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Source is where Load finds what an image consists of: an archive, a layout on
// disk, another store.
type Source interface {
	// Blob writes the blob that d names to w, from its first byte to its last.
	// Whoever asks verifies it. An error of w is returned as it is. It is called
	// from several goroutines at once. A size below 0 is not known.
	Blob(ctx context.Context, d ocispec.Descriptor, w io.Writer) error
}

// SourceFunc is a Source of one function.
type SourceFunc func(ctx context.Context, d ocispec.Descriptor, w io.Writer) error

// Blob implements [Source].
func (f SourceFunc) Blob(ctx context.Context, d ocispec.Descriptor, w io.Writer) error {
	return f(ctx, d, w)
}

// LoadOptions of one load. The zero value loads for the platform that the
// program runs on.
type LoadOptions struct {
	// Platform, Progress and Verify are those of PullOptions.
	Platform *ocispec.Platform
	Progress func(Progress)
	Verify   Verifier
}

// Load brings the image whose manifest or index is d from src into the store, as
// Pull does from a registry: verified and unpacked. names is what the image is
// known by from then on, at least one: references with a tag, or with the digest
// of d. All its blobs come, so that it can be saved again. After an error the
// store holds what it held before.
func (s *Store) Load(ctx context.Context, src Source, d ocispec.Descriptor, names []string, o LoadOptions) (Image, error) {
	as, err := loadNames(d, names)
	if err != nil {
		return Image{}, fail("load", d.Digest.String(), err)
	}
	p := &pull{s: s, ref: as[0], as: as, opts: PullOptions{Platform: o.Platform, Verify: o.Verify, AllBlobs: true}, host: thisPlatform(),
		progress: progress{report: o.Progress}, repo: local{src, d}}
	if o.Platform != nil {
		p.host = normal(*o.Platform)
	}
	id, err := p.load(ctx, d)
	if err != nil {
		return Image{}, fail("load", names[0], err)
	}
	img, err := s.Get(ctx, id.String())
	return img, fail("load", names[0], err)
}

func loadNames(d ocispec.Descriptor, names []string) ([]policy.Reference, error) {
	if err := d.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("digest %q: %w", d.Digest, err)
	}
	if len(names) == 0 {
		return nil, errors.New("a name is needed for it")
	}
	var as []policy.Reference
	for _, n := range names {
		ref, err := policy.Parse(n)
		if err == nil && ref.Digest != "" && (ref.Tag != "" || ref.Digest != d.Digest.String()) {
			err = &policy.NameError{Name: n, Err: fmt.Errorf("either a tag or the digest %s is needed", d.Digest)}
		}
		if err != nil {
			return nil, err
		}
		as = append(as, ref)
	}
	return as, nil
}

// local is a source as a repository that holds one image.
type local struct {
	Source
	top ocispec.Descriptor
}

// maxDocument bounds manifests, indexes and configs.
const maxDocument = 8 << 20

// Resolve knows the image itself only.
func (l local) Resolve(_ context.Context, id string) (ocispec.Descriptor, error) {
	if id != l.top.Digest.String() {
		return ocispec.Descriptor{}, fmt.Errorf("%s: %w", id, remote.ErrNotFound)
	}
	return l.top, nil
}

// Manifest returns a manifest or an index by its digest, verified.
func (l local) Manifest(ctx context.Context, id string) (ocispec.Descriptor, []byte, error) {
	d := l.top
	if id != d.Digest.String() {
		d = ocispec.Descriptor{Digest: digest.Digest(id), Size: -1}
	}
	b, err := l.small(ctx, d)
	d.Size = int64(len(b))
	return d, b, err
}

// Config returns an image's config, verified.
func (l local) Config(ctx context.Context, d ocispec.Descriptor) ([]byte, error) {
	return l.small(ctx, d)
}

// small reads a blob that is held in memory. A size below 0 is not known.
func (l local) small(ctx context.Context, d ocispec.Descriptor) ([]byte, error) {
	if err := d.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", d.Digest, remote.ErrNotFound)
	}
	var b bytes.Buffer
	if err := l.Blob(ctx, d, &limited{&b, maxDocument}); err != nil {
		return nil, fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	if got := d.Digest.Algorithm().FromBytes(b.Bytes()); got != d.Digest || d.Size >= 0 && int64(b.Len()) != d.Size {
		return nil, fmt.Errorf("blob %s: the content has %d bytes and %s, expected %d bytes: %w", d.Digest, b.Len(), got, d.Size, errDigest)
	}
	return b.Bytes(), nil
}

// limited refuses what is longer than n.
type limited struct {
	w io.Writer
	n int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.n -= len(p); l.n < 0 {
		return 0, fmt.Errorf("a manifest or config of more than %d MiB: %w", maxDocument>>20, errManifest)
	}
	return l.w.Write(p)
}

// Spool returns an empty file on the store's filesystem that has no name: what
// it holds is gone when it is closed, or its process ends.
func (s *Store) Spool() (*os.File, error) {
	sess, err := s.startSession()
	if err != nil {
		return nil, fail("spool", s.root, err)
	}
	f, err := os.CreateTemp(sess.blobs, "spool-")
	if err != nil {
		return nil, fail("spool", s.root, err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, fail("spool", s.root, errors.Join(err, f.Close()))
	}
	return f, nil
}
