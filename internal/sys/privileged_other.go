//go:build !linux

package sys

import "errors"

// Privileged says that no process may make what only Linux has.
func Privileged() error { return errors.ErrUnsupported }
