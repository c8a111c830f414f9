package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

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
	// Blobs are all that it consists of: what leads from Top to Manifest, and what
	// the manifest names.
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
	e := &Export{s: s}
	var r refRecord
	var m manifestRecord
	err = s.view(func(tx *bolt.Tx) error {
		e.Name, r, m, err = s.recorded(tx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	if e.release, err = s.lease(sess, lease{Blobs: m.Blobs}); err != nil {
		return nil, err
	}
	if err = e.list(r); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// list fills in what an image consists of.
func (e *Export) list(r refRecord) error {
	docs, err := e.s.way(r.Digest, r.Manifest, maxNesting)
	if err != nil {
		return err
	}
	e.Top, e.Manifest = docs[0].Descriptor, docs[len(docs)-1].Descriptor
	for _, d := range docs {
		e.Blobs = append(e.Blobs, d.Descriptor)
	}
	m := docs[len(docs)-1].document
	named := append([]ocispec.Descriptor{*m.Config}, m.Layers...)
	e.Blobs = append(e.Blobs, named...)
	if missing := slices.DeleteFunc(named, e.s.hasBlob); len(missing) > 0 {
		return fmt.Errorf("%d of the blobs that manifest %s names are not in the store, the first %s: its layers may have come packed otherwise with another image: pull it with AllBlobs: %w",
			len(missing), e.Manifest.Digest, missing[0].Digest, ErrNotFound)
	}
	return nil
}

// described is a manifest or an index with its descriptor.
type described struct {
	ocispec.Descriptor
	*document
}

// way returns the indexes from top down to a manifest, and that. It goes through
// what the store holds.
func (s *Store) way(top, manifest digest.Digest, nesting int) ([]described, error) {
	d, err := s.document(top)
	if err != nil || top == manifest {
		return []described{d}, err
	}
	if nesting < 0 || !d.index() {
		return nil, ErrNotFound
	}
	for _, next := range d.Manifests {
		if !exists(s.blobPath(next.Digest)) {
			continue
		}
		if below, err := s.way(next.Digest, manifest, nesting-1); err == nil {
			return append([]described{d}, below...), nil
		}
	}
	return nil, fmt.Errorf("index %s does not lead to manifest %s: %w", top, manifest, ErrNotFound)
}

// recorded returns what a name means, and its key. An ID has no key; of several
// manifests with it, it means one whose blobs are all there, if any.
func (s *Store) recorded(tx *bolt.Tx, name string) (key string, r refRecord, m manifestRecord, err error) {
	ref, perr := policy.Parse(name)
	if perr == nil {
		key = ref.Tagged()
		if ref.Digest != "" {
			key = ref.Digested(ref.Digest)
		}
		var ok bool
		if r, ok, err = get[refRecord](tx, bucketRefs, key); err != nil {
			return "", r, m, err
		} else if ok {
			m, ok, err = get[manifestRecord](tx, bucketManifests, r.Manifest.String())
			if err == nil && !ok {
				err = ErrNotFound
			}
			return key, r, m, err
		}
	}
	id, err := find(tx, name)
	if err != nil {
		return "", r, m, err
	}
	all, _, err := manifestsOf(tx, id)
	for _, d := range all {
		one, _, gerr := get[manifestRecord](tx, bucketManifests, d.String())
		if err = errors.Join(err, gerr); r.Manifest == "" || !s.whole(m) && s.whole(one) {
			r.Manifest, m = d, one
		}
	}
	r.Digest = r.Manifest
	return "", r, m, err
}

// whole says whether all blobs of a manifest are there.
func (s *Store) whole(m manifestRecord) bool {
	return !slices.ContainsFunc(m.Blobs, func(d digest.Digest) bool { return !exists(s.blobPath(d)) })
}

// document reads a manifest or an index that the store holds.
func (s *Store) document(d digest.Digest) (described, error) {
	b, err := s.readBlob(d)
	if err != nil {
		return described{}, err
	}
	doc, err := decode("", b)
	if err != nil {
		return described{}, fmt.Errorf("manifest %s: %w", d, err)
	}
	implied := ocispec.MediaTypeImageManifest
	if doc.index() {
		implied = ocispec.MediaTypeImageIndex
	}
	return described{ocispec.Descriptor{MediaType: cmp.Or(doc.MediaType, implied), Digest: d, Size: int64(len(b))}, doc}, nil
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
