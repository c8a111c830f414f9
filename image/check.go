package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"
)

// Check verifies the store: every blob against its digest, and that all that
// names and snapshots need is there. It returns what is wrong, a line each. The
// compressed blobs of layers may be missing: what is mounted are the layers.
func (s *Store) Check(ctx context.Context) (wrong []string, err error) {
	err = s.content(func(kind string, d digest.Digest, path string) error {
		if kind != syncedBlob {
			return ctx.Err()
		}
		if err := checkBlob(d, path); err != nil && !errors.Is(err, os.ErrNotExist) { // removed meanwhile
			wrong = append(wrong, err.Error())
		}
		return ctx.Err()
	})
	if err != nil {
		return wrong, fail("check", s.root, err)
	}
	l, err := s.lockStore(false)
	if err != nil {
		return wrong, fail("check", s.root, err)
	}
	defer l.unlock()
	have := map[string]bool{}
	err = s.content(func(kind string, d digest.Digest, _ string) error {
		have[kind+d.String()] = true
		return nil
	})
	if err != nil {
		return wrong, fail("check", s.root, err)
	}
	bad, err := s.checkMeta(have)
	wrong = append(wrong, bad...)
	keys, kerr := s.keys()
	for key, r := range keys {
		for _, c := range r.Layers {
			if !have[syncedLayer+c.String()] {
				wrong = append(wrong, fmt.Sprintf("snapshot %s: layer %s is missing", key, c))
			}
		}
	}
	return wrong, fail("check", s.root, errors.Join(err, kerr))
}

func checkBlob(d digest.Digest, path string) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
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

// checkMeta follows every name to the content that it stands for.
func (s *Store) checkMeta(have map[string]bool) (wrong []string, err error) {
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	err = s.view(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			bad("meta.db: %v", err)
		}
		err := each(tx, bucketRefs, func(name string, r refRecord) error {
			if _, ok, err := get[manifestRecord](tx, bucketManifests, r.Manifest.String()); err != nil || !ok {
				bad("name %s: manifest %s is not recorded", name, r.Manifest)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return each(tx, bucketManifests, func(d string, m manifestRecord) error {
			for _, c := range m.Layers {
				if !have[syncedLayer+c.String()] {
					bad("manifest %s: layer %s is missing", d, c)
				}
			}
			for _, b := range []string{d, m.Config.String()} {
				if !have[syncedBlob+b] {
					bad("manifest %s: blob %s is missing", d, strings.TrimPrefix(b, "sha256:"))
				}
			}
			return nil
		})
	})
	return wrong, err
}
