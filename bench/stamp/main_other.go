//go:build !linux

package main

import "os"

// Containers need Linux.
func main() { os.Exit(1) }
