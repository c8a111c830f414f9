//go:build unix

package sys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Occupied is a directory that several processes use side by side and that the
// last of them removes.
type Occupied struct {
	dir string
	f   *os.File
}

// Occupy makes dir, with its parents, and keeps others from removing it until
// Leave or the end of the process. It waits for one who is removing it now.
func Occupy(dir string, perm os.FileMode) (*Occupied, error) {
	for {
		if err := os.MkdirAll(dir, perm); errors.Is(err, fs.ErrNotExist) || leftMeanwhile(err) {
			continue // the last one of dir or a parent left just now
		} else if err != nil {
			return nil, err
		}
		f, err := os.Open(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		if err := flock(f, unix.LOCK_SH); err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", dir, err)
		}
		if Same(f, dir) {
			return &Occupied{dir, f}, nil
		}
		f.Close()
	}
}

// Leave gives the directory up. The last one calls last, which removes what may
// go, and removes the directory if it is empty then; nobody can enter meanwhile.
// Leaving twice, or nil, does nothing.
func (o *Occupied) Leave(last func()) {
	if o == nil || o.f == nil {
		return
	}
	if flock(o.f, unix.LOCK_EX|unix.LOCK_NB) == nil && Same(o.f, o.dir) {
		last()
		_ = unix.Rmdir(o.dir)
	}
	_ = flock(o.f, unix.LOCK_UN) // a child that was just forked shares it
	o.f.Close()
	o.f = nil
}

func flock(f *os.File, how int) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var lerr error
	err = raw.Control(func(fd uintptr) {
		for {
			if lerr = unix.Flock(int(fd), how); !errors.Is(lerr, unix.EINTR) {
				return
			}
		}
	})
	return errors.Join(lerr, err)
}

// leftMeanwhile tells that a directory was there when it was to be made, and gone
// when it was looked at.
func leftMeanwhile(err error) bool {
	var at *fs.PathError
	if !errors.Is(err, fs.ErrExist) || !errors.As(err, &at) {
		return false
	}
	fi, err := os.Lstat(at.Path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && fi.IsDir()
}

// lockFile waits until others let f be read, or written.
func lockFile(f *os.File, write bool) error {
	how := unix.LOCK_SH
	if write {
		how = unix.LOCK_EX
	}
	if err := flock(f, how); err != nil {
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return nil
}

// tryLockFile locks f to be written, if nobody has a lock on it.
func tryLockFile(f *os.File) bool { return flock(f, unix.LOCK_EX|unix.LOCK_NB) == nil }
