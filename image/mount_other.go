//go:build !linux

package image

import (
	"errors"
	"fmt"
)

// MountAll needs Linux.
func MountAll([]Mount, string) error {
	return fmt.Errorf("mount an image: overlayfs is Linux's: %w", errors.ErrUnsupported)
}

// Unmount needs Linux.
func Unmount(string) error { return nil }
