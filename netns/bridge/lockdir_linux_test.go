package bridge

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// The lock orders all who come, although the last to go removes its file.
func TestLockOutlivesItsDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shared")
	m := machine{dir}
	inside := filepath.Join(t.TempDir(), "inside")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				unlock, err := m.lock()
				if err != nil {
					t.Error(err)
					return
				}
				f, err := os.OpenFile(inside, os.O_CREATE|os.O_EXCL, 0o600)
				if err != nil {
					t.Errorf("two are inside: %v", err)
				} else {
					f.Close()
					_ = os.Remove(inside)
				}
				unlock()
			}
		})
	}
	wg.Wait()
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory stays")
	}
}
