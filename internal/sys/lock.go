package sys

import (
	"fmt"
	"os"
)

// Lock opens the file at path, makes it if it is missing, and waits until it is
// this caller's alone: among goroutines and among processes. It is given back by
// closing the file, or by the end of the process.
func Lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := lockFile(f, true); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Hold waits until nobody has f alone, and keeps others from it until f is
// closed; any number may hold it.
func Hold(f *os.File) error { return lockFile(f, false) }

// Alone takes f alone, if nobody else holds it: a hold of f's own is given up
// either way.
func Alone(f *os.File) bool { return tryLockFile(f) }

// Same tells whether path still names what f is.
func Same(f *os.File, path string) bool {
	now, err := os.Stat(path)
	was, ferr := f.Stat()
	return err == nil && ferr == nil && os.SameFile(now, was)
}
