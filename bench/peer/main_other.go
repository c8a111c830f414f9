//go:build !linux

package main

import "log"

func main() { log.Fatal("peer: it needs Linux") }
