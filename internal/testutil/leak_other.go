//go:build !linux

package testutil

func openFiles() map[string]string { return nil }
func mounts(Scope) []string        { return nil }
func processes(Scope) []string     { return nil }
func cgroupDirs(Scope) []string    { return nil }
func links(Scope) []string         { return nil }
func tables(Scope) []string        { return nil }
