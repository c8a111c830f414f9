package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// partialDir, beside the sessions, holds what came of blobs whose pull broke off
// or whose process was killed: a file by digest, its holder's while the blob's
// lock is held.
const partialDir = "partial"

// partialAge is how long they wait for someone to go on with them.
const partialAge = time.Hour

func (s *Store) partials() string { return filepath.Join(s.root, "content", "ingest", partialDir) }

func partialName(d digest.Digest) string { return strings.ReplaceAll(d.String(), ":", "-") }

// resumeBlob opens what there is of a blob, held bytes, which the caller reads
// and hashes before it writes more. The caller holds the blob's lock.
func (s *Store) resumeBlob(d ocispec.Descriptor) (w *ingest, held int64, err error) {
	if err := d.Digest.Validate(); err != nil {
		return nil, 0, fmt.Errorf("digest %q: %w", d.Digest, err)
	}
	if err := os.Mkdir(s.partials(), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, 0, err
	}
	f, err := os.OpenFile(filepath.Join(s.partials(), partialName(d.Digest)), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, 0, err
	}
	w = &ingest{s: s, want: d.Digest, f: f, hash: d.Digest.Algorithm().Hash()}
	fi, err := f.Stat()
	if err == nil && fi.Size() <= d.Size {
		return w, fi.Size(), nil
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err != nil {
		w.abort()
		return nil, 0, err
	}
	return w, 0, nil
}

// leave closes what is not whole, for whoever goes on with it.
func (w *ingest) leave() error { return w.f.Close() }

// removePartials removes those that nobody wrote to since a time and no pull
// has, and says how many bytes they had.
func (s *Store) removePartials(since time.Time) (freed int64, err error) {
	entries, err := os.ReadDir(s.partials())
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	once, cancel := context.WithCancel(context.Background())
	cancel()
	for _, e := range entries {
		fi, ierr := e.Info()
		if ierr != nil || fi.ModTime().After(since) {
			continue // or gone meanwhile
		}
		unlock, lerr := flockName(once, filepath.Join(s.root, "locks", "blob-"+e.Name()))
		if lerr != nil { // its pull is slow
			continue
		}
		rerr := removeAll(filepath.Join(s.partials(), e.Name()))
		unlock()
		if err = errors.Join(err, rerr); rerr == nil {
			freed += fi.Size()
		}
	}
	return freed, err
}
