package image

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"

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
		if err := s.removeTornKeys(); err != nil {
			return removed, err
		}
	}
	return removed, sys.WriteFile(path, boot, 0o600, !s.opts.NoSync)
}

func (s *Store) removeUnsynced() (removed int, err error) {
	synced := map[string]bool{}
	err = s.view(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketSynced).ForEach(func(k, v []byte) error {
			if _, err := unseal(sealedAs(bucketSynced, string(k)), v); err == nil { // a damaged one counts as none
				synced[string(k)] = true
			}
			return nil
		})
	})
	if err != nil {
		return 0, err
	}
	err = s.content(func(kind string, d digest.Digest, path string) error {
		if synced[kind+d.String()] {
			return nil
		}
		removed++
		return removeAll(path)
	})
	return removed, err
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

// content walks over all blobs and layers by name.
func (s *Store) content(f func(kind string, d digest.Digest, path string) error) error {
	blobs := filepath.Join(s.root, "content", "blobs")
	algorithms, err := os.ReadDir(blobs)
	if err != nil {
		return err
	}
	for _, a := range algorithms {
		if err := walk(syncedBlob, digest.Algorithm(a.Name()), filepath.Join(blobs, a.Name()), f); err != nil {
			return err
		}
	}
	return walk(syncedLayer, digest.SHA256, filepath.Join(s.root, "snapshots", "layers"), f)
}

func walk(kind string, a digest.Algorithm, dir string, f func(kind string, d digest.Digest, path string) error) error {
	open, err := os.Open(dir)
	if err != nil {
		return err
	}
	names, err := open.Readdirnames(-1)
	if err = errors.Join(err, open.Close()); err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names { // there may be tens of thousands
		if err := f(kind, digest.Digest(string(a)+":"+name), dir+string(filepath.Separator)+name); err != nil {
			return err
		}
	}
	return nil
}
