package sys

import (
	"fmt"
	"os"
	"path/filepath"
)

var effectRename = NewEffect("sys/rename")

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

// SyncDir makes the names in dir durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
