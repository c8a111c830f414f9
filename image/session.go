package image

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/lifepod/lifepod/internal/sys"
)

// session is this process's part of the ingest directories. Its lock says that
// the process lives.
type session struct {
	blobs, layers string
	lock          fileLock
}

// lease names content that a pull relies on before any name refers to it.
type lease struct {
	Blobs, Layers []digest.Digest
}

// startSession returns the session of this store, made at its first use.
func (s *Store) startSession() (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session != nil {
		return s.session, nil
	}
	gate, err := flock(filepath.Join(s.root, "content", "ingest.lock"), false)
	if err != nil {
		return nil, err
	}
	defer gate.unlock()
	id := rand.Text()
	n := &session{
		blobs:  filepath.Join(s.root, "content", "ingest", id),
		layers: filepath.Join(s.root, "snapshots", "ingest", id),
	}
	for _, d := range []string{n.blobs, n.layers} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return nil, err
		}
	}
	sys.Spread(n.layers)
	if n.lock, err = flock(filepath.Join(n.blobs, "lock"), true); err != nil {
		return nil, err
	}
	s.session = n
	return n, nil
}

func (n *session) close() error {
	err := errors.Join(os.RemoveAll(n.layers), os.RemoveAll(n.blobs))
	n.lock.unlock()
	return err
}

// lease protects content until release is called or the process ends. While it
// is written nothing is being removed.
func (s *Store) lease(n *session, l lease) (release func(), err error) {
	gate, err := s.lockStore(false)
	if err != nil {
		return nil, err
	}
	defer gate.unlock()
	return n.lease(l)
}

// lease is what [Store.lease] does, for callers that hold the store's lock.
func (n *session) lease(l lease) (release func(), err error) {
	id := rand.Text()
	half, path := filepath.Join(n.blobs, "half-"+id), filepath.Join(n.blobs, leasePrefix+id)
	if err = writeRecord(half, l); err == nil {
		err = os.Rename(half, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write lease: %w", err), os.RemoveAll(half))
	}
	return func() { _ = os.Remove(path) }, nil
}

const leasePrefix = "lease-"

// leases reads those of all sessions. The caller holds the store's lock.
func (s *Store) leases() (lease, error) {
	var all lease
	ingest := filepath.Join(s.root, "content", "ingest")
	sessions, err := os.ReadDir(ingest)
	if err != nil {
		return all, err
	}
	for _, e := range sessions {
		if err := all.add(filepath.Join(ingest, e.Name())); err != nil {
			return all, err
		}
	}
	return all, nil
}

// add adds the leases of the session in dir.
func (l *lease) add(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) { // that process has ended
		return err
	}
	for _, f := range files {
		if !strings.HasPrefix(f.Name(), leasePrefix) {
			continue
		}
		var one lease
		err := readRecord(filepath.Join(dir, f.Name()), &one)
		if errors.Is(err, ErrNotFound) {
			continue // that pull has ended
		}
		if err != nil {
			return fmt.Errorf("lease: %w", err)
		}
		l.Blobs = append(l.Blobs, one.Blobs...)
		l.Layers = append(l.Layers, one.Layers...)
	}
	return nil
}

// removeDead removes the sessions whose process is gone and says how many.
func (s *Store) removeDead() (int, error) {
	ingest := filepath.Join(s.root, "content", "ingest")
	gate, err := flock(filepath.Join(s.root, "content", "ingest.lock"), true)
	if err != nil {
		return 0, err
	}
	defer gate.unlock()
	entries, err := os.ReadDir(ingest)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, e := range entries {
		if e.Name() == partialDir {
			continue
		}
		dir := filepath.Join(ingest, e.Name())
		l, ok, err := tryFlock(filepath.Join(dir, "lock"))
		if err != nil {
			return n, err
		}
		if !ok {
			continue
		}
		n++
		err = errors.Join(removeAll(filepath.Join(s.root, "snapshots", "ingest", e.Name())), removeAll(dir))
		l.unlock()
		if err != nil {
			return n, err
		}
	}
	_, err = s.removePartials(time.Now().Add(-partialAge))
	return n, errors.Join(err, s.removeStrays(entries), s.removeLocks())
}

// removeLocks removes the names of locks that nobody holds.
func (s *Store) removeLocks() error {
	dir := filepath.Join(s.root, "locks")
	entries, err := os.ReadDir(dir)
	once, cancel := context.WithCancel(context.Background())
	cancel()
	for _, e := range entries {
		if unlock, err := flockName(once, filepath.Join(dir, e.Name())); err == nil {
			unlock()
		}
	}
	return err
}

// removeStrays removes layers of sessions that have no directory for blobs, and
// what Prepare and removals left half-done.
func (s *Store) removeStrays(sessions []os.DirEntry) error {
	known := map[string]bool{}
	for _, e := range sessions {
		known[e.Name()] = true
	}
	dir := filepath.Join(s.root, "snapshots", "ingest")
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if !known[e.Name()] {
			err = errors.Join(err, removeAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}
