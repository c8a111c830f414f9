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
func Inherit(string, []string, []string, Options) error {
	return fmt.Errorf("unpack a layer: overlayfs is Linux's: %w", errors.ErrUnsupported)
}

// Opaque is false without overlayfs.
func Opaque(string) bool { return false }

// Compare needs Linux.
func Compare(context.Context, string, string) ([]string, error) {
	return nil, fmt.Errorf("compare layers: %w", errors.ErrUnsupported)
}

// Merge needs Linux.
func Merge(context.Context, string, []string, Options) error {
	return fmt.Errorf("merge layers: overlayfs is Linux's: %w", errors.ErrUnsupported)
}
