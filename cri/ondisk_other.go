//go:build !unix

package cri

import "io/fs"

func onDisk(fi fs.FileInfo) uint64 { return uint64(fi.Size()) }
