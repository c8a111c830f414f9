//go:build unix

package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// tryLock locks a file until it is closed or the process ends; errLocked if
// another has it, fs.ErrNotExist if it was removed meanwhile.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, syscall.EROFS) {
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) //nolint:gosec // a descriptor
	if err == nil {
		mine, err := f.Stat()
		now, nerr := os.Stat(path)
		if err = errors.Join(err, nerr); err == nil && os.SameFile(mine, now) {
			return f, nil
		}
		f.Close()
		return nil, errors.Join(fs.ErrNotExist, err)
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errLocked
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}
