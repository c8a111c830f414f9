//go:build !linux

package local

func diskSize(string) int64 { return 0 }
