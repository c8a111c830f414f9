package sys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

var (
	effectRename  = NewEffect("sys/rename")
	effectRewrite = NewEffect("sys/rewrite")
)

// WriteFile replaces the file at path with data: written to a temporary name in
// the same directory, then renamed, so that a reader sees the old or the new
// content and a crash leaves one of them. With sync, content and directory are
// on disk when it returns.
func WriteFile(path string, data []byte, perm os.FileMode, sync bool) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".tmp-"+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // a no-op once it is renamed
	if err := fill(f, data, perm, sync); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := effectRename.Do(func() error { return os.Rename(f.Name(), path) }); err != nil {
		return err
	}
	if sync {
		return SyncDir(dir)
	}
	return nil
}

// rewriteLimit is the size of a page: the kernel copies one without a stop.
const rewriteLimit = 4096

// Rewrite is WriteFile, without sync, for a small JSON file that often changes
// and is read by ReadRewritten: content of up to 4096 bytes is written over the
// old in one call, which a killed process has made or not, and needs no new inode.
// The file does not shrink: spaces fill it up.
func Rewrite(path string, data []byte, perm os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return WriteFile(path, data, perm, false)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if max(fi.Size(), int64(len(data))) > rewriteLimit {
		return WriteFile(path, data, perm, false)
	}
	if n := int(fi.Size()) - len(data); n > 0 {
		data = append(slices.Clip(data), bytes.Repeat([]byte(" "), n)...)
	}
	if err := lockFile(f, true); err != nil {
		return err
	}
	return effectRewrite.Do(func() error {
		_, err := f.WriteAt(data, 0)
		return err
	})
}

// ReadRewritten reads a file that Rewrite writes, of before or after a change.
func ReadRewritten(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := lockFile(f, false); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}

func fill(f *os.File, data []byte, perm os.FileMode, sync bool) error {
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if sync {
		return f.Sync()
	}
	return nil
}

// SyncFiles makes the files that lie in dir durable, one after another in the
// order of their names, and then the names.
func SyncFiles(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if err := syncFile(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return SyncDir(dir)
}

// SyncDir makes the names in dir durable.
func SyncDir(dir string) error { return syncFile(dir) }

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
