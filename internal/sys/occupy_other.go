//go:build !unix

package sys

import "os"

// Occupied is a directory that several processes use side by side.
type Occupied struct{}

// Occupy makes dir, with its parents.
func Occupy(dir string, perm os.FileMode) (*Occupied, error) {
	return &Occupied{}, os.MkdirAll(dir, perm)
}

// Leave does nothing here: the directory stays.
func (*Occupied) Leave(func()) {}

// lockFile does nothing: nodes need Unix.
func lockFile(*os.File, bool) error { return nil }

func tryLockFile(*os.File) bool { return true }
