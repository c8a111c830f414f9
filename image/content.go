package image

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"
)

// errDigest is for content that is not what its digest says.
var errDigest = errors.New("digest mismatch")

func (s *Store) blobPath(d digest.Digest) string {
	return filepath.Join(s.root, "content", "blobs", d.Algorithm().String(), d.Encoded())
}

// layerPath is the directory of the layer with a chain ID: its record and its
// files.
func (s *Store) layerPath(chain digest.Digest) string {
	return filepath.Join(s.root, "snapshots", "layers", chain.Encoded())
}

// layerFiles is what is mounted of a layer.
func (s *Store) layerFiles(chain digest.Digest) string {
	return filepath.Join(s.layerPath(chain), layerFS)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// hasBlob says whether the store holds a blob, by its size.
func (s *Store) hasBlob(d ocispec.Descriptor) bool {
	fi, err := os.Lstat(s.blobPath(d.Digest))
	return err == nil && fi.Mode().IsRegular() && fi.Size() == d.Size
}

// readBlob reads a small blob and verifies it.
func (s *Store) readBlob(d digest.Digest) ([]byte, error) {
	b, err := os.ReadFile(s.blobPath(d))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("blob %s: %w", d, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	if got := d.Algorithm().FromBytes(b); got != d {
		return nil, fmt.Errorf("blob %s has the content of %s: %w", d, got, errDigest)
	}
	return b, nil
}

// putBlob stores a small blob whose digest is verified already.
func (s *Store) putBlob(d digest.Digest, b []byte) error {
	w, err := s.newBlob(d)
	if err != nil {
		return err
	}
	defer w.abort()
	if _, err := w.Write(b); err != nil {
		return err
	}
	return w.commit(int64(len(b)))
}

// ingest is a blob on its way into the store.
type ingest struct {
	s    *Store
	want digest.Digest
	f    *os.File
	hash hash.Hash
	n    int64
}

func (s *Store) newBlob(d digest.Digest) (*ingest, error) {
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("digest %q: %w", d, err)
	}
	sess, err := s.startSession()
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(sess.blobs, "blob-")
	if err != nil {
		return nil, err
	}
	return &ingest{s: s, want: d, f: f, hash: d.Algorithm().Hash()}, nil
}

// Write implements io.Writer.
func (w *ingest) Write(p []byte) (int, error) {
	w.hash.Write(p)
	n, err := w.f.Write(p)
	w.n += int64(n)
	return n, err
}

// verify compares size and digest with what they should be.
func (w *ingest) verify(size int64) error {
	got := digest.NewDigest(w.want.Algorithm(), w.hash)
	if w.n != size || got != w.want {
		return fmt.Errorf("blob %s: the content has %d bytes and %s, expected %d bytes: %w", w.want, w.n, got, size, errDigest)
	}
	return nil
}

// commit verifies the blob and gives it its name.
func (w *ingest) commit(size int64) error {
	if err := w.verify(size); err != nil {
		return err
	}
	path := w.s.blobPath(w.want)
	if w.want.Algorithm() != digest.SHA256 {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
	}
	if err := w.f.Close(); err != nil {
		return err
	}
	return rename(w.f.Name(), path)
}

// abort removes what was not committed; after commit it does nothing.
func (w *ingest) abort() {
	_ = w.f.Close()
	_ = os.Remove(w.f.Name())
}

const (
	syncedBlob  = "blob "
	syncedLayer = "layer "
)

// afterBoot removes content that no commit recorded as synced, if the machine
// was started since the store was last opened: a rename may have reached the
// disk before the content did.
func (s *Store) afterBoot() (removed int, err error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil { // not Linux: nothing tells one life of the machine from the next
		return 0, nil
	}
	l, err := s.lockStore(true)
	if err != nil {
		return 0, err
	}
	defer l.unlock()
	path := filepath.Join(s.root, "boot")
	last, err := os.ReadFile(path)
	if err == nil && bytes.Equal(last, boot) {
		return 0, nil
	}
	if err == nil {
		if removed, err = s.removeUnsynced(); err != nil {
			return removed, err
		}
	}
	return removed, sys.WriteFile(path, boot, 0o600, !s.opts.NoSync)
}

// removeUnsynced removes content that is not recorded as synced, and torn
// snapshots. There may be tens of thousands of names: blobs and layers are looked
// up side by side.
func (s *Store) removeUnsynced() (removed int, err error) {
	var blobs, layers []string
	errs := make([]error, 3)
	var wg sync.WaitGroup
	wg.Go(func() { blobs, errs[0] = s.unsynced(syncedBlob) })
	wg.Go(func() { layers, errs[1] = s.unsynced(syncedLayer) })
	errs[2] = s.removeTornKeys()
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	for _, path := range slices.Concat(blobs, layers) {
		removed++
		if err := removeAll(path); err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// unsynced lists the content of a kind that is not recorded as synced.
func (s *Store) unsynced(kind string) (paths []string, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		synced := syncedRecords{cursor: tx.Bucket(bucketSynced).Cursor()}
		return s.contentOf(kind, func(c content) error {
			if !synced.has(c) {
				paths = append(paths, c.path())
			}
			return nil
		})
	})
	return paths, err
}

// syncedRecords looks up what is recorded as synced. It is quick when it is asked
// in the order of the keys: there may be tens of thousands.
type syncedRecords struct {
	cursor *bolt.Cursor
	key    []byte // where the cursor is; nil at the end
	value  []byte
	sealed []byte // the key as it was sealed, in one buffer for all
}

func (r *syncedRecords) has(c content) bool {
	r.sealed = append(append(r.sealed[:0], bucketSynced...), ' ')
	r.sealed = c.appendKey(r.sealed)
	key := r.sealed[len(bucketSynced)+1:]
	for r.key != nil && bytes.Compare(r.key, key) < 0 {
		r.key, r.value = r.cursor.Next()
	}
	if !bytes.Equal(r.key, key) {
		r.key, r.value = r.cursor.Seek(key)
	}
	if !bytes.Equal(r.key, key) {
		return false
	}
	_, ok := intact(r.sealed, r.value) // a damaged one counts as none
	return ok
}

// removeTornKeys removes snapshots whose record did not reach the disk.
func (s *Store) removeTornKeys() error {
	entries, err := os.ReadDir(filepath.Join(s.root, "snapshots", "keys"))
	for _, e := range entries {
		if _, rerr := s.record(e.Name()); rerr != nil {
			err = errors.Join(err, removeAll(s.keyPath(e.Name())))
		}
	}
	return err
}

// content is a blob or a layer in its place.
type content struct {
	kind      string // syncedBlob or syncedLayer
	algorithm digest.Algorithm
	dir, name string
}

func (c content) digest() digest.Digest { return digest.Digest(string(c.algorithm) + ":" + c.name) }
func (c content) path() string          { return c.dir + string(filepath.Separator) + c.name }
func (c content) key() string           { return string(c.appendKey(nil)) }

// appendKey appends the key of its record in bucketSynced.
func (c content) appendKey(b []byte) []byte {
	return append(append(append(append(b, c.kind...), c.algorithm...), ':'), c.name...)
}

// content walks over all blobs and layers by name.
func (s *Store) content(f func(content) error) error {
	if err := s.contentOf(syncedBlob, f); err != nil {
		return err
	}
	return s.contentOf(syncedLayer, f)
}

// contentOf walks over the blobs, or the layers.
func (s *Store) contentOf(kind string, f func(content) error) error {
	if kind == syncedLayer {
		return walk(content{kind, digest.SHA256, filepath.Join(s.root, "snapshots", "layers"), ""}, f)
	}
	blobs := filepath.Join(s.root, "content", "blobs")
	algorithms, err := os.ReadDir(blobs)
	if err != nil {
		return err
	}
	for _, a := range algorithms {
		if err := walk(content{kind, digest.Algorithm(a.Name()), filepath.Join(blobs, a.Name()), ""}, f); err != nil {
			return err
		}
	}
	return nil
}

// walk calls f with c for each name in its directory.
func walk(c content, f func(content) error) error {
	open, err := os.Open(c.dir)
	if err != nil {
		return err
	}
	names, err := open.Readdirnames(-1)
	if err = errors.Join(err, open.Close()); err != nil {
		return err
	}
	slices.Sort(names)
	for _, c.name = range names {
		if err := f(c); err != nil {
			return err
		}
	}
	return nil
}
