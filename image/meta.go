package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/opencontainers/go-digest"
	bolt "go.etcd.io/bbolt"
)

// The buckets of meta.db. Values are JSON, sealed together with their key.
var (
	bucketRefs      = []byte("refs")      // normalised name → refRecord
	bucketManifests = []byte("manifests") // manifest digest → manifestRecord
	bucketImages    = []byte("images")    // config digest → imageRecord
	bucketSynced    = []byte("synced")    // "blob "+digest, "layer "+chain ID: on disk for good
)

var buckets = [][]byte{bucketRefs, bucketManifests, bucketImages, bucketSynced}

type refRecord struct {
	// Digest is what the registry resolved the name to, maybe an index;
	// Manifest the image's manifest.
	Digest, Manifest digest.Digest
}

type manifestRecord struct {
	Config digest.Digest
	// Blobs are all that the image consists of, itself and its index included.
	Blobs []digest.Digest
	// Layers are the chain IDs, lowest first.
	Layers []digest.Digest
	Size   int64
}

type imageRecord struct {
	Since  time.Time
	Pinned bool
}

// view reads meta.db. It is opened for this and closed again: bbolt's file lock
// would keep other processes out as long as it is open.
func (s *Store) view(f func(tx *bolt.Tx) error) error {
	s.meta.RLock()
	defer s.meta.RUnlock()
	return s.db(false, func(db *bolt.DB) error { return db.View(f) })
}

func (s *Store) update(f func(tx *bolt.Tx) error) error {
	s.meta.Lock()
	defer s.meta.Unlock()
	return s.db(true, func(db *bolt.DB) error {
		return effectMeta.Do(func() error { return db.Update(f) })
	})
}

func (s *Store) db(write bool, f func(*bolt.DB) error) error {
	// bbolt waits for its own lock by sleeping 50 ms at a time, ours at once.
	l, err := flock(filepath.Join(s.root, "meta.lock"), write)
	if err != nil {
		return err
	}
	defer l.unlock()
	path := filepath.Join(s.root, "meta.db")
	return trusting(path, func() (err error) {
		db, err := bolt.Open(path, 0o600, &bolt.Options{
			ReadOnly: !write, NoSync: s.opts.NoSync, Timeout: time.Minute,
		})
		if err != nil {
			return fmt.Errorf("open %s: %w", path, err)
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		return f(db)
	})
}

// trusting runs what trusts the pages of a database file, as bbolt does: where
// they are damaged it panics or reads past the file's end.
func trusting(path string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s: %v: %w: remove the store's directory and pull again", path, v, errDamaged)
		}
	}()
	return f()
}

// createDB makes meta.db with empty buckets, unless it is there.
func (s *Store) createDB() error {
	l, err := flock(filepath.Join(s.root, "meta.lock"), true)
	if err != nil {
		return err
	}
	defer l.unlock()
	path := filepath.Join(s.root, "meta.db")
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	half := path + ".new"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	db, err := bolt.Open(half, 0o600, &bolt.Options{NoSync: s.opts.NoSync})
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, b := range buckets {
			if _, err := tx.CreateBucket(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	return rename(half, path)
}

// get reads one record; ok is false if there is none.
func get[T any](tx *bolt.Tx, bucket []byte, key string) (v T, ok bool, err error) {
	b := tx.Bucket(bucket).Get([]byte(key))
	if b == nil {
		return v, false, nil
	}
	if err := decodeValue(bucket, key, b, &v); err != nil {
		return v, false, err
	}
	return v, true, nil
}

func decodeValue(bucket []byte, key string, b []byte, v any) error {
	b, err := unseal(sealedAs(bucket, key), b)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return fmt.Errorf("meta.db: %s %s: %w", bucket, key, err)
	}
	return nil
}

func sealedAs(bucket []byte, key string) string { return string(bucket) + " " + key }

func put(tx *bolt.Tx, bucket []byte, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.Bucket(bucket).Put([]byte(key), seal(sealedAs(bucket, key), b))
}

// each calls f with every record of a bucket, in the order of the keys.
func each[T any](tx *bolt.Tx, bucket []byte, f func(key string, v T) error) error {
	return tx.Bucket(bucket).ForEach(func(k, b []byte) error {
		var v T
		if err := decodeValue(bucket, string(k), b, &v); err != nil {
			return err
		}
		return f(string(k), v)
	})
}
