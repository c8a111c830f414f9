//go:build !unix

package image

import (
	"errors"

	"github.com/lifepod/lifepod/image/policy"
)

func (s *Store) disk() (policy.Disk, error) { return policy.Disk{}, errors.ErrUnsupported }
