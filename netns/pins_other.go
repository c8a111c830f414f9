//go:build !linux

package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

func unsupported(what string) error {
	return fmt.Errorf("%s: namespaces are Linux's, this is %s: %w", what, runtime.GOOS, errors.ErrUnsupported)
}

// Create makes the namespaces and pins them; only on Linux.
func Create(dir string, _ Kinds, _ Options) (Pins, error) {
	return Pins{}, unsupported("create namespaces in " + dir)
}

// Load says what is pinned under dir; only on Linux.
func Load(dir string) (Pins, error) { return Pins{}, unsupported("load namespaces of " + dir) }

// Remove takes the pins away. Elsewhere than on Linux there are none.
func Remove(string) error { return nil }

// Do runs f in the network namespace at path; only on Linux.
func Do(path string, _ func() error) error { return unsupported("enter " + path) }

// Valid says whether path holds a network namespace; only on Linux.
func Valid(path string) error { return unsupported("look at " + path) }

// Open opens the network namespace at path; only on Linux.
func Open(path string) (*os.File, error) { return nil, unsupported("open " + path) }

// LoopbackUp brings lo up in the network namespace at path; only on Linux.
func LoopbackUp(path string) error { return unsupported("bring lo up in " + path) }
