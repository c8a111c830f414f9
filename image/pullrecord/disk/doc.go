// Package disk keeps pull records in files: those of the kubelet's image manager,
// DIR/image_manager/pulling for intents and DIR/image_manager/pulled for records,
// each named after the SHA-256 of what it is about.
//
// Several processes may have one directory open. Everything is written to a
// temporary name, synced and renamed; a process that dies leaves its intents, which
// says that its images may have been pulled. A record that is damaged is copied
// to DIR/image_manager/damaged when it is written anew.
package disk

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/lifepod/lifepod/image/pullrecord"
	"github.com/lifepod/lifepod/internal/sys"
)

// Options of a store.
type Options struct {
	// NoSync leaves it to the kernel when records reach the disk: a power loss may
	// lose some, and with them the knowledge that an image is private.
	NoSync bool
}

// Store keeps records below one directory. It is safe for concurrent use.
type Store struct {
	dir  string // image_manager
	sync bool
}

var _ pullrecord.Store = (*Store)(nil)

var effectRemove = sys.NewEffect("pullrecord/remove")

// Open makes what is missing below dir. There is nothing to close.
func Open(dir string, o Options) (*Store, error) {
	s := &Store{dir: filepath.Join(dir, "image_manager"), sync: !o.NoSync}
	for _, d := range []string{s.pulling(), s.pulled()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("open pull records in %s: %w", dir, err)
		}
	}
	return s, nil
}

func (s *Store) pulling() string { return filepath.Join(s.dir, "pulling") }

func (s *Store) pulled() string { return filepath.Join(s.dir, "pulled") }

func (s *Store) intent(image string) string {
	return filepath.Join(s.pulling(), pullrecord.FileName(image))
}

func (s *Store) record(ref string) string {
	return filepath.Join(s.pulled(), pullrecord.FileName(ref))
}

// lock keeps others from changing anything; it is held for a moment only.
func (s *Store) lock() (unlock func(), err error) {
	f, err := sys.Lock(filepath.Join(s.dir, "lock"))
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}
