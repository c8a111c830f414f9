package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lifepod/lifepod/image/policy"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"
)

// Get returns the image that a reference, an ID ("sha256:…", or its first hex
// digits) or a repository digest names. The error is ErrNotFound if the store
// does not hold it.
func (s *Store) Get(_ context.Context, name string) (Image, error) {
	img, err := steady(s, func() (Image, error) { return s.get(name) })
	if err != nil {
		return Image{}, fail("get image", name, err)
	}
	return img, nil
}

func (s *Store) get(name string) (Image, error) {
	img, err := s.lookUp(name)
	if err == nil {
		err = s.fill(&img)
	}
	return img, err
}

// lookUp returns what meta.db says about an image.
func (s *Store) lookUp(name string) (Image, error) {
	at := s.found.now()
	img, ok := s.found.get(at, name)
	if ok {
		return img, nil
	}
	err := s.view(func(tx *bolt.Tx) error {
		id, err := find(tx, name)
		if err == nil {
			img, err = load(tx, id)
		}
		return err
	})
	if err == nil {
		s.found.put(at, name, img)
	}
	return img, err
}

// List returns all images that Get would, by ID.
func (s *Store) List(context.Context) ([]Image, error) {
	list, err := steady(s, s.list)
	return list, fail("list images", s.root, err)
}

func (s *Store) list() (list []Image, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		list, err = loadAll(tx)
		return err
	})
	whole := list[:0]
	for _, img := range list {
		if err == nil {
			err = s.fill(&img)
		}
		if errors.Is(err, ErrNotFound) {
			err = nil
			continue
		}
		whole = append(whole, img)
	}
	return whole, err
}

// steady reads what meta.db says and, after it, files. If they do not agree, an
// image may just have been removed: it reads again while none can be.
func steady[T any](s *Store, read func() (T, error)) (T, error) {
	v, err := read()
	var differ *inspectError
	if !errors.As(err, &differ) {
		return v, err
	}
	l, err := s.lockStore(false)
	if err != nil {
		return v, err
	}
	defer l.unlock()
	return read()
}

// Tag gives an image another name, a reference with a tag. Whatever the name
// meant before, it means this image now.
func (s *Store) Tag(_ context.Context, name, tag string) error {
	ref, err := policy.Parse(tag)
	if err == nil && (ref.Tag == "" || ref.Digest != "") {
		err = &policy.NameError{Name: tag, Err: fmt.Errorf("a tag is needed, without a digest")}
	}
	if err != nil {
		return fail("tag image", tag, err)
	}
	err = s.update(func(tx *bolt.Tx) error {
		_, r, _, err := s.recorded(tx, name)
		if err != nil {
			return err
		}
		return put(tx, bucketRefs, ref.Tagged(), r)
	})
	return fail("tag image", name, err)
}

// Pin keeps an image from being collected, or no longer.
func (s *Store) Pin(_ context.Context, name string, pinned bool) error {
	err := s.update(func(tx *bolt.Tx) error {
		id, err := find(tx, name)
		if err != nil {
			return err
		}
		r, _, err := get[imageRecord](tx, bucketImages, id.String())
		if err != nil {
			return err
		}
		r.Pinned = pinned
		return put(tx, bucketImages, id.String(), r)
	})
	return fail("pin image", name, err)
}

// isHex says whether a name may be the beginning of an ID: 7 to 64 hex digits.
func isHex(name string) bool {
	return len(name) >= 7 && len(name) <= 64 && strings.Trim(name, "0123456789abcdef") == ""
}

// find resolves a name to the ID of an image.
func find(tx *bolt.Tx, name string) (digest.Digest, error) {
	if d, err := digest.Parse(name); err == nil {
		if tx.Bucket(bucketImages).Get([]byte(d)) != nil {
			return d, nil
		}
		return "", fmt.Errorf("%w", ErrNotFound)
	}
	ref, err := policy.Parse(name)
	if err != nil && !isHex(name) { // 64 hex digits are no valid reference
		return "", err
	}
	if err == nil {
		key := ref.Tagged()
		if ref.Digest != "" {
			key = ref.Digested(ref.Digest)
		}
		r, ok, err := get[refRecord](tx, bucketRefs, key)
		if err != nil {
			return "", err
		}
		if ok {
			m, ok, err := get[manifestRecord](tx, bucketManifests, r.Manifest.String())
			if err != nil || ok {
				return m.Config, err
			}
		}
	}
	return findPrefix(tx, name)
}

func findPrefix(tx *bolt.Tx, name string) (digest.Digest, error) {
	if !isHex(name) {
		return "", fmt.Errorf("%w", ErrNotFound)
	}
	var found []string
	prefix := "sha256:" + name
	c := tx.Bucket(bucketImages).Cursor()
	for k, _ := c.Seek([]byte(prefix)); k != nil && strings.HasPrefix(string(k), prefix); k, _ = c.Next() {
		found = append(found, string(k))
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%w", ErrNotFound)
	case 1:
		return digest.Digest(found[0]), nil
	}
	return "", fmt.Errorf("%q begins the IDs of %d images: give more digits", name, len(found))
}

// manifestsOf returns all manifests of an image, and the record of the first.
// Records are long: only those that begin with the image are decoded.
func manifestsOf(tx *bolt.Tx, id digest.Digest) (all []digest.Digest, first manifestRecord, err error) {
	begins := []byte(`{"Config":"` + id.String() + `"`)
	c := tx.Bucket(bucketManifests).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if !bytes.HasPrefix(v, begins) {
			continue
		}
		m, ok, err := get[manifestRecord](tx, bucketManifests, string(k))
		if err != nil {
			return nil, m, err
		}
		if ok && len(all) == 0 {
			first = m
		}
		if ok {
			all = append(all, digest.Digest(k))
		}
	}
	if len(all) == 0 {
		return nil, first, fmt.Errorf("%w", ErrNotFound)
	}
	return all, first, nil
}

// load reads what meta.db says about an image.
func load(tx *bolt.Tx, id digest.Digest) (Image, error) {
	manifests, m, err := manifestsOf(tx, id)
	if err != nil {
		return Image{ID: id}, err
	}
	r, _, err := get[imageRecord](tx, bucketImages, id.String())
	if err != nil {
		return Image{ID: id}, err
	}
	img := recordedImage(id, r, m)
	err = each(tx, bucketRefs, func(name string, r refRecord) error {
		if slices.Contains(manifests, r.Manifest) {
			img.addName(name)
		}
		return nil
	})
	return img, err
}

// loadAll is load for all images, by ID, in one pass.
func loadAll(tx *bolt.Tx) (list []Image, err error) {
	of, first := map[digest.Digest]digest.Digest{}, map[digest.Digest]manifestRecord{}
	err = each(tx, bucketManifests, func(d string, m manifestRecord) error {
		of[digest.Digest(d)] = m.Config
		if _, ok := first[m.Config]; !ok {
			first[m.Config] = m
		}
		return nil
	})
	at := map[digest.Digest]int{}
	err = errors.Join(err, each(tx, bucketImages, func(k string, r imageRecord) error {
		id := digest.Digest(k)
		if m, ok := first[id]; ok {
			at[id] = len(list)
			list = append(list, recordedImage(id, r, m))
		}
		return nil
	}))
	return list, errors.Join(err, each(tx, bucketRefs, func(name string, r refRecord) error {
		if i, ok := at[of[r.Manifest]]; ok {
			list[i].addName(name)
		}
		return nil
	}))
}

func recordedImage(id digest.Digest, r imageRecord, m manifestRecord) Image {
	return Image{ID: id, Size: m.Size, ChainIDs: m.Layers, Pinned: r.Pinned, Since: r.Since}
}

// addName adds a name that the store knows the image by.
func (i *Image) addName(name string) {
	if strings.Contains(name, "@") {
		i.Digests = append(i.Digests, name)
	} else {
		i.Tags = append(i.Tags, name)
	}
}

// fill adds what lies outside meta.db: the config, and when it was last used.
func (s *Store) fill(img *Image) error {
	for _, c := range img.ChainIDs {
		if !exists(s.layerPath(c)) {
			return missingLayer(c)
		}
	}
	c, err := s.configs.read(s, img.ID)
	if errors.Is(err, errDigest) { // it is pulled again, like an image that was never there
		return errors.Join(fmt.Errorf("%w: %w", ErrNotFound, err), s.quarantine(syncedBlob, img.ID, err))
	}
	if err != nil {
		return &inspectError{err}
	}
	img.Config = c
	fi, err := os.Lstat(s.blobPath(img.ID))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("blob %s is missing, pull the image again: %w", img.ID, ErrNotFound)
	}
	if err != nil {
		return &inspectError{err}
	}
	img.LastUsed = fi.ModTime()
	return nil
}

// inspectError is for an image whose own data cannot be read.
type inspectError struct{ error }

func (e *inspectError) Unwrap() error  { return e.error }
func (e *inspectError) Reason() string { return ReasonInspect }

// used notes that an image is in use: the time of its config's file. It needs no
// transaction, and to lose it does no harm.
func (s *Store) used(id digest.Digest) {
	now := time.Now()
	_ = os.Chtimes(s.blobPath(id), now, now)
}

// complete says whether the store holds all layers of a manifest, or all blobs,
// too, and that its image runs on host.
func (s *Store) complete(ctx context.Context, manifest digest.Digest, host ocispec.Platform, allBlobs bool) (id digest.Digest, ok bool, err error) {
	var m manifestRecord
	err = s.view(func(tx *bolt.Tx) error {
		m, ok, err = get[manifestRecord](tx, bucketManifests, manifest.String())
		return err
	})
	if err != nil || !ok {
		return "", false, err
	}
	c, err := s.configs.read(s, m.Config)
	if err != nil || runsOn(host, c) != nil {
		return "", false, nil //nolint:nilerr // the pull begins anew and says what is wrong
	}
	for _, l := range m.Layers {
		if ok, err := s.hasLayer(ctx, l); err != nil || !ok || !s.hasSource(l) {
			return "", false, err
		}
	}
	return m.Config, exists(s.blobPath(manifest)) && (!allBlobs || s.whole(m)), nil
}

// configCache keeps decoded configs; they never change.
type configCache struct {
	mu sync.Mutex
	m  map[digest.Digest]ocispec.Image
}

const maxConfigs = 64

func (c *configCache) read(s *Store, id digest.Digest) (ocispec.Image, error) {
	c.mu.Lock()
	img, ok := c.m[id]
	c.mu.Unlock()
	if ok {
		return img, nil
	}
	b, err := s.readBlob(id)
	if err != nil {
		return img, err
	}
	if err := json.Unmarshal(b, &img); err != nil {
		return img, fmt.Errorf("image config %s: %w", id, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= maxConfigs {
		c.m = map[digest.Digest]ocispec.Image{}
	}
	c.m[id] = img
	return img, nil
}
