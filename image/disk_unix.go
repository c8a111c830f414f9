//go:build unix

package image

import (
	"github.com/lifepod/lifepod/image/policy"
	"golang.org/x/sys/unix"
)

// disk measures the filesystem that the store lies on: what a user without
// privileges may still write is available.
func (s *Store) disk() (policy.Disk, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.root, &st); err != nil {
		return policy.Disk{}, err
	}
	block := int64(st.Bsize)                                                                         //nolint:unconvert // another type on other systems
	return policy.Disk{Capacity: int64(st.Blocks) * block, Available: int64(st.Bavail) * block}, nil //nolint:gosec // a disk's size
}
