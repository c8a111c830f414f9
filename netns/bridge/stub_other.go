//go:build !linux

package bridge

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/lifepod/lifepod/netns"
)

// Network is the built-in network; it exists on Linux only.
type Network struct{}

var _ netns.Network = (*Network)(nil)

// New always fails: the network is made of Linux's bridges and namespaces.
func New(o Options) (*Network, error) {
	if _, err := o.withDefaults(); err != nil {
		return nil, err
	}
	return nil, unsupported()
}

func unsupported() error {
	return fmt.Errorf("bridge network on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Setup always fails.
func (*Network) Setup(context.Context, netns.Attachment) (netns.Result, error) {
	return netns.Result{}, unsupported()
}

// Teardown has nothing to undo.
func (*Network) Teardown(context.Context, netns.Attachment) error { return nil }

// Check always fails.
func (*Network) Check(context.Context, netns.Attachment) error { return unsupported() }

// Ready always fails.
func (*Network) Ready(context.Context) error { return unsupported() }

// Warnings has none.
func (*Network) Warnings(context.Context) ([]error, error) { return nil, unsupported() }

// Close has nothing to close.
func (*Network) Close() error { return nil }
