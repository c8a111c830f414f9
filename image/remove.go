package image

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lifepod/lifepod/image/policy"
	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"
)

// Remove removes an image by the rules of CRI: a tag goes alone while the image
// has other tags; the last tag, an ID and a repository digest take the image
// with all its names. What no other image, snapshot or pull needs is deleted;
// what a prepared snapshot needs stays until RemoveSnapshot. Removing what is
// not there is not an error.
func (s *Store) Remove(ctx context.Context, name string) error {
	err := s.update(func(tx *bolt.Tx) error {
		id, err := find(tx, name)
		if err != nil {
			return err
		}
		img, err := load(tx, id)
		if err != nil {
			return err
		}
		names := append(img.Tags, img.Digests...)
		if tag, ok := isTag(name, img); ok && len(img.Tags) > 1 {
			names = []string{tag}
		}
		for _, n := range names {
			err = errors.Join(err, tx.Bucket(bucketRefs).Delete([]byte(n)))
		}
		return err
	})
	if err == nil || errors.Is(err, ErrNotFound) { // an earlier call may have broken off in the middle
		err = s.Collect(ctx)
	}
	return fail("remove image", name, err)
}

// isTag says whether name is one of the image's tags.
func isTag(name string, img Image) (string, bool) {
	ref, err := policy.Parse(name)
	if err != nil || ref.Digest != "" {
		return "", false
	}
	for _, t := range img.Tags {
		if t == ref.Tagged() {
			return t, true
		}
	}
	return "", false
}

// Collect deletes content that no image name, prepared snapshot or pull in
// flight refers to. Remove and RemoveSnapshot do it by themselves.
func (s *Store) Collect(context.Context) error {
	if _, err := s.removeDead(); err != nil {
		return err
	}
	sess, err := s.startSession()
	if err != nil {
		return err
	}
	trash := filepath.Join(sess.layers, "trash-"+rand.Text())
	if err := os.Mkdir(trash, 0o700); err != nil {
		return err
	}
	return errors.Join(s.collect(trash), s.discard(trash))
}

// discard removes trash. What cannot be removed is tried again the next time,
// and goes with the session at the latest.
func (s *Store) discard(trash string) (err error) {
	s.mu.Lock()
	all := append(s.litter, trash)
	s.litter = nil
	s.mu.Unlock()
	for _, path := range all {
		if rerr := removeAll(path); rerr != nil {
			err = errors.Join(err, rerr)
			s.mu.Lock()
			s.litter = append(s.litter, path)
			s.mu.Unlock()
		}
	}
	return err
}

// collect moves what nothing needs to trash; deleting a tree takes longer than
// others should wait.
func (s *Store) collect(trash string) error {
	l, err := s.lockStore(true)
	if err != nil {
		return err
	}
	defer l.unlock()
	keep, inUse, err := s.roots()
	if err != nil {
		return err
	}
	if err := s.removeQuarantined(trash, inUse); err != nil {
		return err
	}
	gone, err := s.unneeded(keep)
	if err != nil || len(gone) == 0 {
		return err
	}
	var moved []unneeded
	for _, c := range gone {
		if err = rename(c.path, filepath.Join(trash, rand.Text())); err != nil {
			break
		}
		moved = append(moved, c)
	}
	return errors.Join(err, s.update(func(tx *bolt.Tx) (err error) {
		for _, c := range moved {
			err = errors.Join(err, tx.Bucket(bucketSynced).Delete([]byte(c.key)))
		}
		return err
	}))
}

// unneeded is content that may go.
type unneeded struct {
	key, path string
	// height is 0 for a blob, 1 for the lowest layer.
	height int
}

// unneeded lists what is not to be kept, so that whoever breaks off leaves no
// layer without its blob or the layers below.
func (s *Store) unneeded(keep map[string]bool) ([]unneeded, error) {
	var gone []unneeded
	heights := map[digest.Digest]int{"": 0}
	err := s.content(func(c content) error {
		if keep[c.key()] {
			return nil
		}
		u := unneeded{key: c.key(), path: c.path()}
		if c.kind == syncedLayer {
			u.height = s.height(c.digest(), heights)
		}
		gone = append(gone, u)
		return nil
	})
	slices.SortFunc(gone, func(a, b unneeded) int { return b.height - a.height })
	return gone, err
}

// height counts a layer and those below it, as far as the store knows them.
func (s *Store) height(chain digest.Digest, known map[digest.Digest]int) int {
	if n, ok := known[chain]; ok {
		return n
	}
	r, err := s.layer(chain)
	n := 1
	if err == nil {
		n += s.height(r.Below, known)
	}
	known[chain] = n
	return n
}

// roots lists the content that is needed, and of it the layers that snapshots
// are made of, and drops the records of manifests and images that no name leads
// to.
func (s *Store) roots() (keep, inUse map[string]bool, err error) {
	keep, inUse = map[string]bool{}, map[string]bool{}
	add := func(blobs, layers []digest.Digest) {
		for _, d := range blobs {
			keep[syncedBlob+d.String()] = true
		}
		for _, d := range layers {
			keep[syncedLayer+d.String()] = true
		}
	}
	leases, err := s.leases()
	if err != nil {
		return nil, nil, err
	}
	keys, err := s.keys()
	if err != nil {
		return nil, nil, err
	}
	for _, k := range keys {
		add(nil, k.Layers)
	}
	maps.Copy(inUse, keep)
	add(leases.Blobs, leases.Layers)
	var manifests map[string]manifestRecord
	var stale bool
	err = s.view(func(tx *bolt.Tx) (err error) {
		var images map[string]bool
		manifests, images, err = reachable(tx)
		stale = tx.Bucket(bucketManifests).Stats().KeyN != len(manifests) || tx.Bucket(bucketImages).Stats().KeyN != len(images)
		return err
	})
	if err == nil && stale { // a name may have come since
		err = s.update(func(tx *bolt.Tx) (err error) {
			manifests, err = dropUnreachable(tx)
			return err
		})
	}
	for _, m := range manifests {
		add(m.Blobs, m.Layers)
	}
	s.keepSources(keep)
	return keep, inUse, err
}

// keepSources keeps the blob that each layer was unpacked from, which need not
// be one of the image's: images share layers that they pack in different ways.
func (s *Store) keepSources(keep map[string]bool) {
	for k := range maps.Clone(keep) {
		if c, ok := strings.CutPrefix(k, syncedLayer); ok {
			if r, err := s.layer(digest.Digest(c)); err == nil {
				keep[syncedBlob+r.Blob.String()] = true
			}
		}
	}
}

// reachable returns the manifests and images that a name leads to.
func reachable(tx *bolt.Tx) (manifests map[string]manifestRecord, images map[string]bool, err error) {
	manifests, images = map[string]manifestRecord{}, map[string]bool{}
	err = each(tx, bucketRefs, func(_ string, r refRecord) error {
		m, ok, err := get[manifestRecord](tx, bucketManifests, r.Manifest.String())
		if ok {
			manifests[r.Manifest.String()] = m
			images[m.Config.String()] = true
		}
		return err
	})
	return manifests, images, err
}

// dropUnreachable drops the records of all others, and returns the manifests
// that stay.
func dropUnreachable(tx *bolt.Tx) (map[string]manifestRecord, error) {
	manifests, images, err := reachable(tx)
	if err != nil {
		return nil, err
	}
	drop := func(bucket []byte, keep func(string) bool) error {
		var gone []string
		err := tx.Bucket(bucket).ForEach(func(k, _ []byte) error {
			if !keep(string(k)) {
				gone = append(gone, strings.Clone(string(k)))
			}
			return nil
		})
		for _, k := range gone {
			err = errors.Join(err, tx.Bucket(bucket).Delete([]byte(k)))
		}
		return err
	}
	return manifests, errors.Join(
		drop(bucketManifests, func(k string) bool { _, ok := manifests[k]; return ok }),
		drop(bucketImages, func(k string) bool { return images[k] }))
}
