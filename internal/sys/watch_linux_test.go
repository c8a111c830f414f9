package sys

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestWatchDirs(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	w, err := WatchDirs(a)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Add(b); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{a, b} {
		if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "f")
		if got := w.Wait(t.Context()); len(got) == 0 || slices.ContainsFunc(got, func(p string) bool { return p != file }) {
			t.Errorf("after a change of %s: %q", file, got)
		}
	}
	if err := os.RemoveAll(b); err != nil {
		t.Fatal(err)
	}
	if got := w.Wait(t.Context()); !slices.Contains(got, filepath.Join(b, "f")) || !slices.Contains(got, b) {
		t.Errorf("after %s was removed: %q", b, got)
	}
	if err := os.Mkdir(b, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := w.Add(b); err != nil { // another directory of the same name
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := w.Wait(ctx); got != nil {
		t.Errorf("with an ended context: %q", got)
	}
	if err := w.Add(filepath.Join(a, "missing")); err == nil {
		t.Error("watching a missing directory gave no error")
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Errorf("Close twice: %v", err)
		}
	}
}

// Events that the kernel had no room for are not lost: everything may have changed.
func TestWatchOverflow(t *testing.T) {
	w, err := WatchDirs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	lost := unix.InotifyEvent{Wd: -1, Mask: unix.IN_Q_OVERFLOW}
	b := unsafe.Slice((*byte)(unsafe.Pointer(&lost)), unix.SizeofInotifyEvent)
	if got := w.paths(b); got != nil {
		t.Errorf("after an overflow: %q", got)
	}
}
