//go:build !linux

package netnstest

import (
	"net/netip"
	"testing"
)

const onlyLinux = "namespaces are Linux's: leave Bed.Host empty"

// NewHost is for Linux.
func NewHost(t testing.TB) string { t.Helper(); t.Fatal(onlyLinux); return "" }

// NewPod is for Linux.
func NewPod(t testing.TB, _ string) string { t.Helper(); t.Fatal(onlyLinux); return "" }

// RemovePod is for Linux.
func RemovePod(t testing.TB, _ string) { t.Helper(); t.Fatal(onlyLinux) }

// Unpin is for Linux.
func Unpin(t testing.TB, _ string) { t.Helper(); t.Fatal(onlyLinux) }

// DeleteLink is for Linux.
func DeleteLink(t testing.TB, _, _ string) { t.Helper(); t.Fatal(onlyLinux) }

// DeleteAddress is for Linux.
func DeleteAddress(t testing.TB, _, _ string, _ netip.Prefix) { t.Helper(); t.Fatal(onlyLinux) }
