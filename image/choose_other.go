//go:build !linux

package image

import (
	"errors"
	"fmt"
)

func mayTrust(string) error {
	return fmt.Errorf("privileged files: Linux alone: %w", errors.ErrUnsupported)
}

func mayOverlay(string, Overlay) error {
	return fmt.Errorf("overlayfs: Linux alone: %w", errors.ErrUnsupported)
}
