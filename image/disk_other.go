//go:build !unix

package image

import (
	"errors"

	"github.com/lifepod/lifepod/image/policy"
)

// DiskOf wraps [errors.ErrUnsupported]: this system is not asked.
func DiskOf(string) (policy.Disk, error) { return policy.Disk{}, errors.ErrUnsupported }
