package image

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
)

// ErrExists is for a key that is taken by another image.
var ErrExists = errors.New("snapshot key is taken")

// Usage is what a snapshot's own files take.
type Usage struct {
	// Bytes on the disk, not in the files; a file with several names counts once.
	Bytes, Inodes int64
}

// snapshotRecord lies beside a key's files.
type snapshotRecord struct {
	Image    digest.Digest
	Layers   []digest.Digest
	ReadOnly bool
}

const keyPattern = "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}"

// validKey matches keyPattern; a regular expression would cost every program
// that links the package its compilation.
func validKey(key string) bool {
	for i, c := range []byte(key) {
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && (i == 0 || c != '_' && c != '.' && c != '-') {
			return false
		}
	}
	return key != "" && len(key) <= 128
}

// Prepare makes a writable root filesystem of an image under key, which matches
// [a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}, and returns how to mount it: see [MountAll].
// Its layers stay in the store as long as the key does, whatever happens to the
// image. The same key and image again give the same mounts, with what was
// written; ErrExists if the key is another image's. ErrNotFound if the store
// does not hold the image.
func (s *Store) Prepare(ctx context.Context, key string, image digest.Digest) ([]Mount, error) {
	m, err := s.prepare(ctx, key, image, false)
	return m, fail("prepare", key, err)
}

// View is Prepare for a root filesystem that nobody can write to.
func (s *Store) View(ctx context.Context, key string, image digest.Digest) ([]Mount, error) {
	m, err := s.prepare(ctx, key, image, true)
	return m, fail("view", key, err)
}

func (s *Store) keyPath(key string) string { return filepath.Join(s.root, "snapshots", "keys", key) }

func (s *Store) prepare(ctx context.Context, key string, image digest.Digest, readOnly bool) ([]Mount, error) {
	if !validKey(key) {
		return nil, fmt.Errorf("key %q does not match %s", key, keyPattern)
	}
	sn, err := s.snapshotter()
	if err != nil {
		return nil, err
	}
	want := snapshotRecord{Image: image, ReadOnly: readOnly}
	if m, err := s.prepared(sn, key, want); !errors.Is(err, ErrNotFound) {
		return m, err
	}
	sess, err := s.startSession()
	if err != nil {
		return nil, err
	}
	l, err := s.lockStore(false)
	if err != nil {
		return nil, err
	}
	defer l.unlock()
	if want.Layers, err = s.imageLayers(ctx, image); err != nil {
		return nil, err
	}
	err = s.makeKey(ctx, sess, sn, key, want)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	s.used(image)
	if err != nil { // someone else was faster
		return s.prepared(sn, key, want)
	}
	return s.mounts(sn, key, want), nil
}

// prepared returns the mounts of a key that was made for what is wanted.
func (s *Store) prepared(sn Snapshotter, key string, want snapshotRecord) ([]Mount, error) {
	r, err := s.record(key)
	if err != nil {
		return nil, err
	}
	if r.Image != want.Image || r.ReadOnly != want.ReadOnly {
		return nil, fmt.Errorf("%w by a snapshot of %s", ErrExists, r.Image)
	}
	return s.mounts(sn, key, r), nil
}

// imageLayers returns the chain IDs of an image, all of which are there.
func (s *Store) imageLayers(ctx context.Context, image digest.Digest) ([]digest.Digest, error) {
	img, err := s.lookUp(image.String())
	if err == nil && img.ID != image { // it was no digest, but a name
		err = fmt.Errorf("%w", ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	if !exists(s.blobPath(image)) {
		return nil, fmt.Errorf("blob %s is missing, pull the image again: %w", image, ErrNotFound)
	}
	for _, c := range img.ChainIDs {
		ok, err := s.hasLayer(ctx, c)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, missingLayer(c)
		}
	}
	return img.ChainIDs, nil
}

// missingLayer is for an image that the store holds in part: to hold a part of
// an image is not to hold it.
func missingLayer(chain digest.Digest) error {
	return fmt.Errorf("layer %s is missing, pull the image again: %w", chain, ErrNotFound)
}

// makeKey makes a key's directory under another name and renames it: after a
// crash it is whole or not there.
func (s *Store) makeKey(ctx context.Context, sess *session, sn Snapshotter, key string, r snapshotRecord) error {
	tmp := filepath.Join(sess.layers, "key-"+rand.Text())
	err := errors.Join(os.Mkdir(tmp, 0o700), os.Mkdir(filepath.Join(tmp, "fs"), 0o755), os.Mkdir(filepath.Join(tmp, "work"), 0o700))
	if err == nil {
		err = os.Chmod(filepath.Join(tmp, "fs"), 0o755) // whatever the umask
	}
	if err == nil {
		err = sn.Prepare(ctx, tmp, s.layerDirs(r.Layers), r.ReadOnly)
	}
	if err == nil {
		err = writeRecord(filepath.Join(tmp, "snapshot.json"), r)
	}
	if err == nil {
		err = effectCommit.Do(func() error { return os.Rename(tmp, s.keyPath(key)) })
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return nil
}

// record reads what a key was made for. ErrNotFound if it was not.
func (s *Store) record(key string) (r snapshotRecord, err error) {
	if !validKey(key) {
		return r, fmt.Errorf("%w", ErrNotFound)
	}
	return r, readRecord(filepath.Join(s.keyPath(key), "snapshot.json"), &r)
}

// keys reads all records.
func (s *Store) keys() (map[string]snapshotRecord, error) {
	entries, err := os.ReadDir(filepath.Join(s.root, "snapshots", "keys"))
	if err != nil {
		return nil, err
	}
	all := map[string]snapshotRecord{}
	for _, e := range entries {
		r, err := s.record(e.Name())
		if errors.Is(err, ErrNotFound) {
			continue // just removed
		}
		if err != nil {
			return nil, fmt.Errorf("snapshot %s: %w", e.Name(), err)
		}
		all[e.Name()] = r
	}
	return all, nil
}

// mounts says how to mount a snapshot.
func (s *Store) mounts(sn Snapshotter, key string, r snapshotRecord) []Mount {
	return sn.Mounts(s.keyPath(key), s.layerDirs(r.Layers), r.ReadOnly)
}

func (s *Store) layerDirs(chain []digest.Digest) []string {
	var dirs []string
	for _, c := range chain {
		dirs = append(dirs, s.layerFiles(c))
	}
	return dirs
}

// RemoveSnapshot deletes what Prepare or View made, which must not be mounted
// any more, and the layers that only it needed. Removing an unknown key is not
// an error.
func (s *Store) RemoveSnapshot(ctx context.Context, key string) error {
	r, err := s.record(key)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil && !errors.Is(err, errDamaged) {
		return fail("remove snapshot", key, err)
	}
	sess, err := s.startSession()
	if err != nil {
		return fail("remove snapshot", key, err)
	}
	trash := filepath.Join(sess.layers, "trash-"+rand.Text())
	if err = rename(s.keyPath(key), trash); errors.Is(err, fs.ErrNotExist) { // someone else was faster
		err = nil
	}
	if err = errors.Join(err, s.discard(trash)); err != nil {
		return fail("remove snapshot", key, err)
	}
	if _, err := s.imageLayers(ctx, r.Image); errors.Is(err, ErrNotFound) { // the image went before
		return fail("remove snapshot", key, s.Collect(ctx))
	}
	return nil
}

// Snapshots lists the keys that were prepared, and their images.
func (s *Store) Snapshots(context.Context) (map[string]digest.Digest, error) {
	records, err := s.keys()
	keys := map[string]digest.Digest{}
	for k, r := range records {
		keys[k] = r.Image
	}
	return keys, fail("list snapshots", s.root, err)
}

// Usage is what was written to a snapshot, its layers not included.
func (s *Store) Usage(ctx context.Context, key string) (Usage, error) {
	if _, err := s.record(key); err != nil {
		return Usage{}, fail("usage of snapshot", key, err)
	}
	u, err := diskUsage(ctx, filepath.Join(s.keyPath(key), "fs"))
	return u, fail("usage of snapshot", key, err)
}
