//go:build !linux

package main

import "log"

func main() { log.Fatal("floor: it needs Linux") }
