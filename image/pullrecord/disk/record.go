package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lifepod/lifepod/image/pullrecord"
	"github.com/lifepod/lifepod/internal/sys"
)

// Get implements [pullrecord.Records].
func (s *Store) Get(ref string) (*pullrecord.Record, error) {
	r, _, err := s.read(ref)
	if err != nil {
		return nil, fmt.Errorf("pull record %s of image %s: %w", s.record(ref), ref, err)
	}
	return r, nil
}

// read returns the record of ref, nil if there is none, and the file as it is.
func (s *Store) read(ref string) (*pullrecord.Record, []byte, error) {
	b, err := readFile(s.record(ref))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	r, err := pullrecord.Decode(b)
	if err == nil && r.ImageRef != ref {
		err = fmt.Errorf("%w: it is another image's", pullrecord.ErrDamaged)
	}
	if err != nil {
		return nil, b, err
	}
	return &r, b, nil
}

// Update implements [pullrecord.Records].
func (s *Store) Update(ref string, f func(old *pullrecord.Record) *pullrecord.Record) error {
	if err := s.update(ref, f); err != nil {
		return fmt.Errorf("write pull record of image %s: %w", ref, err)
	}
	return nil
}

func (s *Store) update(ref string, f func(old *pullrecord.Record) *pullrecord.Record) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	old, bytes, err := s.read(ref)
	damaged := errors.Is(err, pullrecord.ErrDamaged)
	if err != nil && !damaged {
		return err
	}
	if damaged { // that it was pulled is known still
		if err := s.setAside(ref, bytes); err != nil {
			return err
		}
		old = &pullrecord.Record{ImageRef: ref}
	}
	switch next := f(old); {
	case next == old && !damaged:
		return nil
	case next == nil:
		return effectRemove.Do(func() error { return os.Remove(s.record(ref)) })
	default:
		b, err := pullrecord.Encode(*next)
		if err != nil {
			return err
		}
		return sys.WriteFile(s.record(ref), b, 0o600, s.sync)
	}
}

// setAside keeps what a damaged file holds, for who wants to know. The file stays
// until another takes its place: an image without a record would be everyone's.
func (s *Store) setAside(ref string, b []byte) error {
	dir := filepath.Join(s.dir, "damaged")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return sys.WriteFile(filepath.Join(dir, pullrecord.FileName(ref)), b, 0o600, false)
}

// Refs implements [pullrecord.Records].
func (s *Store) Refs() ([]string, error) {
	paths, err := files(s.pulled())
	errs := []error{err}
	var refs []string
	for _, path := range paths {
		b, err := readFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var r pullrecord.Record
		if err == nil {
			r, err = pullrecord.Decode(b)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("pull record %s: %w", path, err))
			continue
		}
		refs = append(refs, r.ImageRef)
	}
	return refs, errors.Join(errs...)
}

// files lists the files with records in dir; others are nobody's.
func files(dir string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), pullrecord.FilePrefix) && !strings.HasSuffix(e.Name(), ".tmp") {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, err
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f)
}

// readAll reads so much that what is too large is seen to be.
func readAll(f *os.File) ([]byte, error) { return io.ReadAll(io.LimitReader(f, pullrecord.MaxSize+1)) }
