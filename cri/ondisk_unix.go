//go:build unix

package cri

import (
	"io/fs"
	"syscall"
)

// onDisk is what a file takes, in bytes.
func onDisk(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Blocks) * 512
	}
	return uint64(fi.Size())
}
