//go:build !linux

package sys

// Spread is for Linux.
func Spread(string) {}
