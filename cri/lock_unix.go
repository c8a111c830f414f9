//go:build unix

package cri

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockDir locks a directory until the file is closed or the process ends. It
// fails at once if another holds it.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, os.NewSyscallError("flock", err)
	}
	return f, nil
}

// abandoned says that the maker of a new directory is dead. Between mkdir and
// lock it is neither: that takes no minute.
func abandoned(dir string) bool {
	fi, err := os.Stat(dir)
	if err != nil || time.Since(fi.ModTime()) < time.Minute {
		return false
	}
	f, err := lockDir(dir)
	if err != nil {
		return !errors.Is(err, unix.EWOULDBLOCK)
	}
	f.Close()
	return true
}
