//go:build unix

package image

import (
	"github.com/lifepod/lifepod/image/policy"
	"golang.org/x/sys/unix"
)

// DiskOf measures the filesystem that path lies on: what a user without privileges
// may still write is available. The error wraps [errors.ErrUnsupported] where this
// system cannot tell.
func DiskOf(path string) (policy.Disk, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return policy.Disk{}, err
	}
	block := int64(st.Bsize)                                                                         //nolint:unconvert // another type on other systems
	return policy.Disk{Capacity: int64(st.Blocks) * block, Available: int64(st.Bavail) * block}, nil //nolint:gosec // a disk's size
}
