//go:build unix

package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// fileLock is a lock between processes, and between the goroutines of one. It
// ends with its process, however that ends.
type fileLock struct{ f *os.File }

func (l fileLock) unlock() { _ = l.f.Close() }

// flock waits for the lock on the file at path, made if it is missing.
func flock(path string, exclusive bool) (fileLock, error) {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	l, err := openLock(path, how)
	if err != nil {
		return fileLock{}, fmt.Errorf("lock %s: %w", path, err)
	}
	return l, nil
}

// tryFlock is an exclusive flock that does not wait: ok is false if someone
// has it.
func tryFlock(path string) (l fileLock, ok bool, err error) {
	l, err = openLock(path, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return l, false, nil
	}
	if err != nil {
		return l, false, fmt.Errorf("lock %s: %w", path, err)
	}
	return l, true, nil
}

func openLock(path string, how int) (fileLock, error) {
	f, err := openShared(path)
	if err != nil {
		return fileLock{}, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), how); err == nil {
			return fileLock{f}, nil
		}
		if !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return fileLock{}, err
		}
	}
}

// flockName locks a name that comes and goes: its file is removed with the
// lock. Waiting for another process asks again and again, since the kernel has
// no wait for a file lock that a context could end.
func flockName(ctx context.Context, path string) (unlock func(), err error) {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		l, ok, err := tryFlock(path)
		if err != nil {
			return nil, err
		}
		if ok && l.is(path) {
			return func() { _ = os.Remove(path); l.unlock() }, nil
		}
		if ok { // its last holder removed it between our open and our lock
			l.unlock()
			continue
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

func (l fileLock) is(path string) bool {
	a, err := l.f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}
