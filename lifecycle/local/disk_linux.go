package local

import "golang.org/x/sys/unix"

func diskSize(dir string) int64 {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0
	}
	return int64(s.Blocks) * s.Bsize //nolint:gosec // a disk's size
}
