//go:build unix

package cri

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// How to lock: exclusiveNow fails at once if another holds the lock.
const (
	shared       = unix.LOCK_SH
	exclusive    = unix.LOCK_EX
	exclusiveNow = unix.LOCK_EX | unix.LOCK_NB
)

// lockFileOf locks a directory until the file is closed or the process ends.
func lockFileOf(dir string, how int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, os.NewSyscallError("flock", err)
	}
	return f, nil
}
