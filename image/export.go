package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/lifepod/lifepod/image/policy"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"
)

// Export is one image of a store, to be read as it came: a [Source]. It is safe
// for concurrent use.
type Export struct {
	// Name is the normalised name that it was found by, "" if that was an ID.
	Name string
	// Top is what the name means, an index or a manifest; Manifest is the
	// manifest of the image that the store holds of it.
	Top, Manifest ocispec.Descriptor
	// Blobs are all that it consists of: digests and sizes.
	Blobs   []ocispec.Descriptor
	s       *Store
	release func()
}

// Export opens an image for reading. Its content stays in the store until Close,
// whatever happens to its names.
func (s *Store) Export(_ context.Context, name string) (*Export, error) {
	e, err := s.export(name)
	if err != nil {
		return nil, fail("export", name, err)
	}
	return e, nil
}

func (s *Store) export(name string) (*Export, error) {
	sess, err := s.startSession()
	if err != nil {
		return nil, err
	}
	key, r, m, err := s.recorded(name)
	if err != nil {
		return nil, err
	}
	e := &Export{Name: key, s: s}
	if e.release, err = s.lease(sess, lease{Blobs: m.Blobs}); err != nil {
		return nil, err
	}
	if e.Top, err = s.document(r.Digest); err == nil {
		e.Manifest, err = s.document(r.Manifest)
	}
	for _, d := range m.Blobs {
		fi, serr := os.Lstat(s.blobPath(d))
		if serr != nil {
			err = errors.Join(err, fmt.Errorf("blob %s is not in the store, maybe because its content came packed otherwise with another image: remove both and pull this one: %w", d, ErrNotFound))
			continue
		}
		e.Blobs = append(e.Blobs, ocispec.Descriptor{Digest: d, Size: fi.Size()})
	}
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// recorded returns what a name means, and its key. An ID means the first
// manifest with it, and has no key.
func (s *Store) recorded(name string) (key string, r refRecord, m manifestRecord, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		ref, perr := policy.Parse(name)
		if perr == nil {
			key = ref.Tagged()
			if ref.Digest != "" {
				key = ref.Digested(ref.Digest)
			}
			var ok bool
			if r, ok, err = get[refRecord](tx, bucketRefs, key); err != nil {
				return err
			} else if ok {
				m, _, err = get[manifestRecord](tx, bucketManifests, r.Manifest.String())
				return err
			}
		}
		id, err := find(tx, name)
		if err != nil {
			return err
		}
		key = ""
		r.Manifest, m, err = manifestOf(tx, id)
		r.Digest = r.Manifest
		return err
	})
	return key, r, m, err
}

// document describes a manifest or an index that the store holds.
func (s *Store) document(d digest.Digest) (ocispec.Descriptor, error) {
	b, err := s.readBlob(d)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	doc, err := decode("", b)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("manifest %s: %w", d, err)
	}
	implied := ocispec.MediaTypeImageManifest
	if doc.index() {
		implied = ocispec.MediaTypeImageIndex
	}
	return ocispec.Descriptor{MediaType: cmp.Or(doc.MediaType, implied), Digest: d, Size: int64(len(b))}, nil
}

// Blob implements [Source], and verifies what it reads.
func (e *Export) Blob(_ context.Context, d ocispec.Descriptor, w io.Writer) error {
	f, err := os.Open(e.s.blobPath(d.Digest))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("blob %s: %w", d.Digest, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("read blob: %w", err)
	}
	defer f.Close()
	v := d.Digest.Verifier()
	if _, err := io.Copy(io.MultiWriter(w, v), f); err != nil {
		return err
	}
	if !v.Verified() {
		return fmt.Errorf("blob %s: %w", d.Digest, errDigest)
	}
	return nil
}

// Close lets the store remove the image again. Closing twice is not an error.
func (e *Export) Close() error {
	e.release()
	return nil
}
