package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"
)

// finding is one thing that is wrong. If it is content, kind and digest name it;
// if it is a record of meta.db, bucket and key.
type finding struct {
	text        string
	kind        string
	digest      digest.Digest
	bucket, key []byte
}

// Check verifies the store: meta.db and all records, every blob against its
// digest, every layer against its blob, and that all that names and snapshots
// need is there. It returns what is wrong, a line each. What containers wrote to
// their snapshots is theirs: nothing says what it should be.
//
// It reads every byte of the store and unpacks each layer once more, one at a
// time, to compare: that takes as long as pulling everything without a network,
// and free space for the largest layer.
func (s *Store) Check(ctx context.Context) (wrong []string, err error) {
	found, err := s.check(ctx)
	for _, f := range found {
		wrong = append(wrong, f.text)
	}
	return wrong, fail("check", s.root, err)
}

// Repair is Check, and sets damaged blobs and layers aside and drops damaged
// records: the store does not hold images any more that need them, until they
// are pulled again, which fetches no more than what is missing. A directory that a
// layer's archive does not name is as in the layer below: changed there, it counts
// for both. Where only a manifest or the blob of a layer is damaged, the image is
// good until then. It returns what it set aside or dropped.
func (s *Store) Repair(ctx context.Context) (aside []string, err error) {
	found, err := s.check(ctx)
	for _, f := range found {
		if err != nil || f.kind == "" && f.bucket == nil {
			continue
		}
		aside = append(aside, f.text)
		if f.bucket != nil {
			err = s.update(func(tx *bolt.Tx) error { return tx.Bucket(f.bucket).Delete(f.key) })
		} else {
			err = s.quarantine(f.kind, f.digest, errors.New(f.text))
		}
	}
	return aside, fail("repair", s.root, err)
}

func (s *Store) check(ctx context.Context) ([]finding, error) {
	c := &checker{s: s, have: map[string]bool{}}
	release, err := c.hold()
	if err != nil {
		return nil, err
	}
	defer release()
	for _, step := range []func(context.Context) error{c.content, c.meta, c.keys} {
		if err := step(ctx); err != nil {
			return c.found, err
		}
	}
	return c.found, nil
}

type checker struct {
	s *Store
	// have is the content of the store, by kind and digest.
	have  map[string]bool
	found []finding
}

func (c *checker) bad(format string, args ...any) {
	c.found = append(c.found, finding{text: fmt.Sprintf(format, args...)})
}

func (c *checker) damaged(kind string, d digest.Digest, err error) {
	c.found = append(c.found, finding{text: err.Error(), kind: kind, digest: d})
}

// hold lists the content and leases it: nothing of it is removed meanwhile.
func (c *checker) hold() (release func(), err error) {
	sess, err := c.s.startSession()
	if err != nil {
		return nil, err
	}
	gate, err := c.s.lockStore(false)
	if err != nil {
		return nil, err
	}
	defer gate.unlock()
	var l lease
	err = c.s.content(func(at content) error {
		c.have[at.key()] = true
		if at.kind == syncedBlob {
			l.Blobs = append(l.Blobs, at.digest())
		} else {
			l.Layers = append(l.Layers, at.digest())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return sess.lease(l)
}

// content holds blobs against their digests and layers against their blobs.
func (c *checker) content(ctx context.Context) error {
	return c.s.content(func(at content) error {
		if !c.have[at.key()] { // it came meanwhile
			return ctx.Err()
		}
		var err error
		if at.kind == syncedBlob {
			err = checkBlob(at.digest(), at.path())
		} else {
			err = c.s.verifyLayer(ctx, at.digest())
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errDigest) || errors.Is(err, errDamaged):
			c.damaged(at.kind, at.digest(), err)
		case err != nil:
			c.bad("%v", err)
		}
		return nil
	})
}

func checkBlob(d digest.Digest, path string) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%s does not belong here: %w", path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	v := d.Verifier()
	if _, err := io.Copy(v, f); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if !v.Verified() {
		return fmt.Errorf("blob %s: %w", d, errDigest)
	}
	return nil
}

// meta follows every name to the content that it stands for.
func (c *checker) meta(ctx context.Context) error {
	return c.s.view(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			c.bad("meta.db: %v", err)
		}
		if err := c.records(ctx, tx); err != nil {
			return err
		}
		return errors.Join(c.names(tx), c.images(tx), each(tx, bucketManifests, func(d string, m manifestRecord) error {
			c.manifest(tx, d, m)
			return nil
		}))
	})
}

// records finds those that nobody else finds: get takes a damaged one for none.
func (c *checker) records(ctx context.Context, tx *bolt.Tx) error {
	for _, b := range buckets {
		err := tx.Bucket(b).ForEach(func(k, v []byte) error {
			if err := decodeValue(b, string(k), v, &json.RawMessage{}); err != nil {
				c.found = append(c.found, finding{text: err.Error(), bucket: b, key: bytes.Clone(k)})
			}
			return ctx.Err()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) names(tx *bolt.Tx) error {
	return each(tx, bucketRefs, func(name string, r refRecord) error {
		_, ok, err := get[manifestRecord](tx, bucketManifests, r.Manifest.String())
		if !ok {
			c.bad("name %s: manifest %s is not recorded", name, r.Manifest)
		}
		return err
	})
}

func (c *checker) images(tx *bolt.Tx) error {
	return each(tx, bucketImages, func(id string, _ imageRecord) error {
		_, _, err := manifestsOf(tx, digest.Digest(id))
		if errors.Is(err, ErrNotFound) {
			c.bad("image %s: it has no manifest", id)
			return nil
		}
		return err
	})
}

func (c *checker) manifest(tx *bolt.Tx, d string, m manifestRecord) {
	if tx.Bucket(bucketImages).Get([]byte(m.Config)) == nil {
		c.bad("manifest %s: image %s is not recorded", d, m.Config)
	}
	for _, l := range m.Layers {
		if !c.have[syncedLayer+l.String()] {
			c.bad("manifest %s: layer %s is missing", d, l)
		}
	}
	// Blobs of layers may be missing where other blobs hold the same layers.
	for _, b := range []string{d, m.Config.String()} {
		if !c.have[syncedBlob+b] {
			c.bad("manifest %s: blob %s is missing", d, b)
		}
	}
}

// keys holds what was prepared against its records.
func (c *checker) keys(context.Context) error {
	entries, err := os.ReadDir(filepath.Join(c.s.root, "snapshots", "keys"))
	for _, e := range entries {
		r, err := c.s.record(e.Name())
		if err != nil {
			if exists(c.s.keyPath(e.Name())) {
				c.bad("snapshot %s: %v: remove it", e.Name(), err)
			}
			continue
		}
		for _, l := range r.Layers {
			if !c.have[syncedLayer+l.String()] {
				c.bad("snapshot %s: layer %s is missing", e.Name(), l)
			}
		}
		for _, d := range []string{"fs", "work"} {
			if fi, err := os.Lstat(filepath.Join(c.s.keyPath(e.Name()), d)); err != nil || !fi.IsDir() {
				c.bad("snapshot %s: its directory %s is missing: remove it", e.Name(), d)
			}
		}
	}
	return err
}
