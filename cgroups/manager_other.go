//go:build !linux

package cgroups

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// Manager makes and removes cgroups below one root, on Linux.
type Manager struct{}

func unsupported() error {
	return fmt.Errorf("cgroups on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Open returns errors.ErrUnsupported: only Linux has cgroups.
func Open(Options) (*Manager, error) { return nil, unsupported() }

// Ensure returns errors.ErrUnsupported.
func (*Manager) Ensure(context.Context, string, Values) error { return unsupported() }

// Check returns errors.ErrUnsupported.
func (*Manager) Check(string, Values) error { return unsupported() }

// Remove returns errors.ErrUnsupported.
func (*Manager) Remove(context.Context, string) error { return unsupported() }

// Prune returns errors.ErrUnsupported.
func (*Manager) Prune(context.Context, string) error { return unsupported() }

// Stats returns errors.ErrUnsupported.
func (*Manager) Stats(context.Context, string) (Stats, error) { return Stats{}, unsupported() }

// Limits returns errors.ErrUnsupported.
func (*Manager) Limits(context.Context, string) (Values, error) { return Values{}, unsupported() }

// List returns errors.ErrUnsupported.
func (*Manager) List(context.Context, string) ([]string, error) { return nil, unsupported() }

// Hierarchies returns none.
func (*Manager) Hierarchies() []Hierarchy { return nil }

// Unified returns false.
func (*Manager) Unified() bool { return false }

// CountsSwap returns false.
func (*Manager) CountsSwap() bool { return false }

// HugePageSizes returns none.
func (*Manager) HugePageSizes() []string { return nil }
