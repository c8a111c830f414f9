package cri

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/lifepod/lifepod/internal/sys"
)

var (
	effectMkdir   = sys.NewEffect("cri/mkdir")
	effectAppear  = sys.NewEffect("cri/appear")
	effectVanish  = sys.NewEffect("cri/vanish")
	effectReserve = sys.NewEffect("cri/reserve")
)

// recordFile is in each directory of a table, lockFile is locked while its
// maker is at work. The table's own is locked while one appears.
const (
	recordFile = "record.json"
	lockFile   = "lock"
)

var idPattern = regexp.MustCompile(`^[a-f0-9]{64}$`)

func newID() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it cannot fail
	return hex.EncodeToString(b[:])
}

// table keeps records as directories of a directory. The files are the truth,
// so that several processes see the same; what was read is kept until the file
// is another one.
type table[R record] struct {
	dir  string
	make func() R

	mu    sync.Mutex
	cache map[string]cached[R]
}

type cached[R record] struct {
	file os.FileInfo
	r    R
}

func newTable[R record](dir string, make func() R) (*table[R], error) {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, err
	}
	sys.Spread(dir)
	return &table[R]{dir: dir, make: make, cache: map[string]cached[R]{}}, nil
}

func (t *table[R]) path(id string, elem ...string) string {
	return filepath.Join(append([]string{t.dir, id}, elem...)...)
}

// get returns fs.ErrNotExist for an unknown id. The record is shared: copy it
// to change it.
func (t *table[R]) get(id string) (R, error) {
	if !idPattern.MatchString(id) {
		return nil, fs.ErrNotExist
	}
	path := t.path(id, recordFile)
	fi, err := os.Lstat(path)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		delete(t.cache, id)
		return nil, err
	}
	if c, ok := t.cache[id]; ok && os.SameFile(c.file, fi) && c.file.ModTime().Equal(fi.ModTime()) {
		return c.r, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := t.make()
	if err := decode(b, r); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	t.cache[id] = cached[R]{fi, r}
	return r, nil
}

// all returns the records that can be read; those that vanish meanwhile are
// left out.
func (t *table[R]) all() ([]R, error) {
	ids, err := t.ids()
	if err != nil {
		return nil, err
	}
	var out []R
	var broken error
	for _, id := range ids {
		r, err := t.get(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			broken = errors.Join(broken, err)
			continue
		}
		out = append(out, r)
	}
	return out, broken
}

func (t *table[R]) ids() ([]string, error) {
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if idPattern.MatchString(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// put replaces the record of r.
func (t *table[R]) put(r R) error {
	b, err := encode(r)
	if err != nil {
		return err
	}
	return sys.WriteFile(t.path(r.id(), recordFile), b, 0o600, false)
}

// add makes the directory of r with its record, and locks it until the returned
// function is called. It appears whole.
func (t *table[R]) add(r R) (unlock func(), err error) {
	b, err := encode(r)
	if err != nil {
		return nil, err
	}
	all, err := lockFileOf(t.dir, shared)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	tmp := filepath.Join(t.dir, ".new-"+r.id())
	if err := effectMkdir.Do(func() error { return os.Mkdir(tmp, 0o711) }); err != nil {
		return nil, err
	}
	lock, err := lockFileOf(tmp, exclusiveNow)
	if err == nil {
		if err = os.WriteFile(filepath.Join(tmp, recordFile), b, 0o600); err == nil {
			err = effectAppear.Do(func() error { return os.Rename(tmp, t.path(r.id())) })
		}
	}
	if err != nil {
		if lock != nil {
			lock.Close()
		}
		return nil, errors.Join(err, os.RemoveAll(tmp), os.RemoveAll(t.path(r.id())))
	}
	return func() { lock.Close() }, nil
}

// remove takes the directory away. What was mounted in it must be gone; what
// still is makes it fail before anything is removed from a mount.
func (t *table[R]) remove(id string, mountpoints ...string) error {
	for _, m := range mountpoints {
		if err := os.Remove(t.path(id, m)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	gone := filepath.Join(t.dir, ".gone-"+id)
	err := effectVanish.Do(func() error { return os.Rename(t.path(id), gone) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(gone)
}

// sweep removes what a dead process left of add and remove. Nothing is mounted
// there. It waits for those who are adding now.
func (t *table[R]) sweep() error {
	all, err := lockFileOf(t.dir, exclusive)
	if err != nil {
		return err
	}
	defer all.Close()
	entries, err := os.ReadDir(t.dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".gone-") || strings.HasPrefix(e.Name(), ".new-") {
			err = errors.Join(err, os.RemoveAll(filepath.Join(t.dir, e.Name())))
		}
	}
	return err
}
