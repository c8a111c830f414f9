//go:build !linux

package main

func terminalSize() string { return "unknown" }
