//go:build !linux

package main

import "log"

func main() { log.Fatal("image: it needs Linux") }
