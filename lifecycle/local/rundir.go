package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// findRun settles the run directory, and keeps it with the root: whoever opens the
// root next must find the pods that run.
func (o *Options) findRun(id string) error {
	link := filepath.Join(o.Root, "run")
	kept, err := os.Readlink(link)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("find the run directory: %w; remove %s", err, link)
	}
	inUse := kept != "" && !isEmpty(kept)
	if o.Run == "" {
		if o.Run = "/run/lifepod"; o.Root != DefaultRoot {
			o.Run += "-" + id
		}
		if inUse {
			o.Run = kept
		}
	}
	if o.Run, err = filepath.Abs(o.Run); err != nil || o.Run == kept {
		return err
	}
	if inUse {
		return fmt.Errorf("run directory %s: what runs under this root is in %s: name that or none, until it has ended", o.Run, kept)
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keep the run directory: %w", err)
	}
	if err = os.Symlink(o.Run, link); errors.Is(err, fs.ErrExist) {
		return o.findRun(id) // another process was quicker
	}
	if err != nil {
		return fmt.Errorf("keep the run directory: %w", err)
	}
	return nil
}

// isEmpty says that nothing is in a directory, or that there is none.
func isEmpty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return len(entries) == 0 && (err == nil || errors.Is(err, fs.ErrNotExist))
}
