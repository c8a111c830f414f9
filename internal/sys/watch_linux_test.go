package sys

import (
	"context"
	"os"
	"path/filepath"
	"testing"
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
		w.Wait(t.Context()) // the test's timeout is the failure
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.Wait(ctx)
	if err := w.Add(filepath.Join(a, "missing")); err == nil {
		t.Error("watching a missing directory gave no error")
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Errorf("Close twice: %v", err)
		}
	}
}
