//go:build !linux

package seccomp

import (
	"errors"
	"fmt"
)

// Install needs Linux.
func (f Filter) Install() error {
	if len(f.Program) == 0 {
		return nil
	}
	return Supported()
}

// Supported asks the kernel whether filters can be installed.
func Supported() error { return fmt.Errorf("seccomp filters need Linux: %w", errors.ErrUnsupported) }
