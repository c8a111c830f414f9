//go:build !linux

package layer

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Apply needs Linux.
func Apply(context.Context, string, io.Reader, Options) (Result, error) {
	return Result{}, fmt.Errorf("unpack a layer: overlayfs is Linux's: %w", errors.ErrUnsupported)
}

// Inherit needs Linux.
func Inherit(string, []string, []string) error {
	return fmt.Errorf("unpack a layer: overlayfs is Linux's: %w", errors.ErrUnsupported)
}

// Opaque is false without overlayfs.
func Opaque(string) bool { return false }
