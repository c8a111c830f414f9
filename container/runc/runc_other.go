//go:build !linux

package runc

import (
	"context"
	"errors"
	"fmt"

	"github.com/lifepod/lifepod/container"
)

// Runtime cannot be had on this system.
type Runtime struct{ container.Runtime }

// Open returns errors.ErrUnsupported: containers need Linux.
func Open(o Options) (*Runtime, error) {
	if _, err := o.config(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("open runtime: containers need Linux: %w", errors.ErrUnsupported)
}

// Close does nothing.
func (*Runtime) Close() error { return nil }

// Upgrade does nothing.
func (*Runtime) Upgrade(context.Context) error { return nil }
