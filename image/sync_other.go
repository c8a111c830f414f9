//go:build !linux

package image

import "errors"

// syncFS is Linux's; without layers there is nothing to sync.
func syncFS(string) error { return errors.ErrUnsupported }
