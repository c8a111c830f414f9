package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/lifepod/lifepod/image/remote"
	"github.com/lifepod/lifepod/internal/sys"
)

// Effects on the store's directory.
var (
	effectCommit = sys.NewEffect("image/commit")
	effectMeta   = sys.NewEffect("image/meta")
	effectRemove = sys.NewEffect("image/remove")
)

// Store keeps images below one directory:
//
//	content/ingest/<session>/   half-made blobs of one process, and its leases
//	content/blobs/sha256/<hex>  manifests, configs, layers as they came
//	snapshots/ingest/<session>/ half-made layers
//	snapshots/layers/<hex>/     one directory per chain ID: fs, read-only, and layer.json
//	snapshots/keys/<key>/       what Prepare made: fs, work, snapshot.json
//	quarantine/                 content that was found damaged, for a day
//	form                        how layers are unpacked: with privileges or without
//	meta.db                     which names mean which images
//	locks/, store.lock, …       file locks, held for moments
//
// Several processes may share it. What a process that died left half-made is
// removed by the next Open. All methods are safe for concurrent use.
type Store struct {
	root   string
	opts   Options
	client *remote.Client
	work   keyed
	pulls  flights
	meta   sync.RWMutex // before the file lock: goroutines wait in order

	mu      sync.Mutex
	session *session
	litter  []string // that could not be removed
	configs configCache
	found   found

	intact   intactFiles
	verified verifiedLayers

	choose sync.Mutex
	chosen Snapshotter // nil until it is needed
}

// Open opens the store below root and makes it if there is none.
func Open(root string, o Options) (*Store, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	s := &Store{root: root, opts: o, client: remote.New(o.Client)}
	for _, d := range []string{"content/ingest", "content/blobs/sha256", "snapshots/ingest", "snapshots/layers", "snapshots/keys", "quarantine", "locks"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o700); err != nil {
			return nil, fmt.Errorf("open image store: %w", err)
		}
	}
	sys.Spread(filepath.Join(root, "content", "ingest"))
	sys.Spread(filepath.Join(root, "snapshots", "ingest"))
	if s.found.file, err = openShared(s.metaLock()); err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	if err = s.createDB(); err == nil {
		err = s.recover()
	}
	if err != nil {
		return nil, fmt.Errorf("open image store %s: %w", root, errors.Join(err, s.Close()))
	}
	return s, nil
}

// openShared opens a file by which processes agree, made if it is missing. Where
// nothing can be written, readers still agree.
func openShared(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, syscall.EROFS) {
		return os.Open(path)
	}
	return f, err
}

// Root is the store's directory.
func (s *Store) Root() string { return s.root }

// Close ends what this process holds of the store; pulls must have ended. What
// was prepared stays. Closing twice is not an error.
func (s *Store) Close() error {
	s.client.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.found.file.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	if s.session == nil {
		return err
	}
	err = errors.Join(err, s.session.close())
	s.session = nil
	return err
}

// lockStore keeps content from being removed while it is shared, and alone
// while it is exclusive.
func (s *Store) lockStore(exclusive bool) (fileLock, error) {
	return flock(filepath.Join(s.root, "store.lock"), exclusive)
}

// recover removes what dead processes left, and what a loss of power may have
// damaged.
func (s *Store) recover() error {
	dead, err := s.removeDead() // Collect does it, too, but may not be needed
	if err != nil {
		return err
	}
	purged, err := s.afterBoot()
	if err != nil {
		return err
	}
	if dead == 0 && purged == 0 {
		return nil
	}
	s.opts.Log.V(1).Info("cleaned up after a process that ended in the middle", "root", s.root, "sessions", dead, "unsynced", purged)
	return s.Collect(context.Background())
}

// removeAll removes a tree that nothing refers to any more.
func removeAll(path string) error {
	return effectRemove.Do(func() error {
		err := os.RemoveAll(path)
		if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
			err = errors.Join(openUp(path), os.RemoveAll(path))
		}
		return err
	})
}

// openUp lets the owner of a tree empty it: containers change modes.
func openUp(path string) error {
	return filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && err == nil {
			err = os.Chmod(p, 0o700) //nolint:gosec // it is removed next
		}
		return err
	})
}

// rename commits a finished file or directory. A target that is there already
// has the same content, so that the new one goes.
func rename(from, to string) error {
	err := effectCommit.Do(func() error { return os.Rename(from, to) })
	if errors.Is(err, os.ErrExist) {
		return os.RemoveAll(from)
	}
	return err
}
