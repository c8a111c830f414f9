//go:build !linux

package main

func call([]string) {}

func userns([]string) {}
