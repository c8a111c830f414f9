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
	bolterrors "go.etcd.io/bbolt/errors"
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
	Config digest.Digest // first, for manifestsOf
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
	l, err := flock(s.metaLock(), write)
	if err != nil {
		return err
	}
	defer l.unlock()
	if write {
		if err := s.found.change(); err != nil {
			return err
		}
	}
	return s.openDB(write, f)
}

// openDB is db for callers that hold its lock.
func (s *Store) openDB(write bool, f func(*bolt.DB) error) error {
	path := s.metaPath()
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

func (s *Store) metaPath() string { return filepath.Join(s.root, "meta.db") }
func (s *Store) metaLock() string { return filepath.Join(s.root, "meta.lock") }

// trusting runs what trusts the pages of a database file, as bbolt does: where
// they are damaged it panics or reads past the file's end.
func trusting(path string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s: %v: %w: open the store again, it sets this file aside, and pull again", path, v, errDamaged)
		}
	}()
	return f()
}

// createDB makes meta.db with empty buckets, unless it is there. One that cannot
// be read is set aside: what it knew comes back with the next pulls, which fetch
// no blob that is there.
func (s *Store) createDB() error {
	l, err := flock(s.metaLock(), true)
	if err != nil {
		return err
	}
	defer l.unlock()
	if fi, err := os.Lstat(s.metaPath()); err == nil {
		if err = errEmpty; fi.Size() > 0 { // bbolt would write to it
			err = s.openDB(false, func(db *bolt.DB) error { return db.View(hasBuckets) })
		}
		if !unreadable(err) {
			return err
		}
		if err := s.setMetaAside(err); err != nil {
			return err
		}
	}
	if err := s.found.change(); err != nil {
		return err
	}
	half := s.metaPath() + ".new"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	db, err := bolt.Open(half, 0o600, &bolt.Options{NoSync: s.opts.NoSync})
	if err != nil {
		return fmt.Errorf("create %s: %w", s.metaPath(), err)
	}
	if err = errors.Join(db.Update(addBuckets), db.Close()); err != nil {
		return fmt.Errorf("create %s: %w", s.metaPath(), err)
	}
	return rename(half, s.metaPath())
}

func (s *Store) setMetaAside(why error) error {
	to := filepath.Join(s.root, "quarantine", fmt.Sprintf("%d-meta.db", time.Now().UnixNano()))
	err := effectQuarantine.Do(func() error { return os.Rename(s.metaPath(), to) })
	if err == nil {
		s.opts.Log.Info("set the damaged meta.db aside", "why", why.Error(), "to", to)
	}
	return err
}

func addBuckets(tx *bolt.Tx) error {
	for _, b := range buckets {
		if _, err := tx.CreateBucket(b); err != nil {
			return err
		}
	}
	return nil
}

var errEmpty = fmt.Errorf("meta.db is empty: %w", errDamaged)

func hasBuckets(tx *bolt.Tx) error {
	for _, b := range buckets {
		if tx.Bucket(b) == nil {
			return fmt.Errorf("meta.db: no bucket %s: %w", b, errDamaged)
		}
	}
	return nil
}

// unreadable says whether a database file is not, or no longer, one of ours.
func unreadable(err error) bool {
	for _, e := range []error{errDamaged, bolterrors.ErrInvalid, bolterrors.ErrChecksum, bolterrors.ErrVersionMismatch} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// get reads one record; ok is false if there is none. A damaged one, or one that
// another version of lifepod wrote, counts as none: the next pull writes it anew.
func get[T any](tx *bolt.Tx, bucket []byte, key string) (v T, ok bool, err error) {
	b := tx.Bucket(bucket).Get([]byte(key))
	if b == nil {
		return v, false, nil
	}
	err = decodeValue(bucket, key, b, &v)
	if errors.Is(err, errDamaged) {
		return *new(T), false, nil
	}
	return v, err == nil, err
}

func decodeValue(bucket []byte, key string, b []byte, v any) error {
	b, err := unseal(sealedAs(bucket, key), b)
	if err == nil {
		if err = json.Unmarshal(b, v); err != nil {
			err = fmt.Errorf("%w: %w", err, errDamaged)
		}
	}
	if err != nil {
		return fmt.Errorf("meta.db: %s %s: %w", bucket, key, err)
	}
	return nil
}

func sealedAs(bucket []byte, key string) []byte { return fmt.Appendf(nil, "%s %s", bucket, key) }

func put(tx *bolt.Tx, bucket []byte, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.Bucket(bucket).Put([]byte(key), seal(sealedAs(bucket, key), b))
}

// each calls f with every record of a bucket that get finds, in the order of the
// keys.
func each[T any](tx *bolt.Tx, bucket []byte, f func(key string, v T) error) error {
	return tx.Bucket(bucket).ForEach(func(k, _ []byte) error {
		v, ok, err := get[T](tx, bucket, string(k))
		if err != nil || !ok {
			return err
		}
		return f(string(k), v)
	})
}
