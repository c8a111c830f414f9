//go:build unix

package sys

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestLastOneRemovesTheDirectory(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "a", "b")
	first, err := Occupy(dir, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Occupy(dir, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	first.Leave(func() { t.Error("the first to leave was taken for the last") })
	first.Leave(func() { t.Error("left twice") })
	called := false
	second.Leave(func() { called = true })
	if _, err := os.Stat(dir); err == nil || !called {
		t.Errorf("still there: %v; last called: %v", err == nil, called)
	}
	var none *Occupied
	none.Leave(nil)
}

func TestOccupiedStaysWithWhatIsInIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	o, err := Occupy(dir, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o.Leave(func() {})
	if _, err := os.Stat(filepath.Join(dir, "f")); err != nil {
		t.Error(err)
	}
}

// Whoever has entered can make files, however many come and go.
func TestOccupyRaces(t *testing.T) {
	top := filepath.Join(t.TempDir(), "run")
	dir := filepath.Join(top, "part")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 200 {
				out, err := Occupy(top, 0o700)
				if err != nil {
					t.Error(err)
					return
				}
				o, err := Occupy(dir, 0o700)
				if err != nil {
					t.Error(err)
					return
				}
				file := filepath.Join(dir, string(rune('a'+i)))
				if err := os.WriteFile(file, nil, 0o600); err != nil {
					t.Error(err)
				}
				if err := os.Remove(file); err != nil {
					t.Error(err)
				}
				o.Leave(func() {})
				out.Leave(func() {})
			}
		})
	}
	wg.Wait()
	if _, err := os.Stat(top); err == nil {
		t.Error("left the directory")
	}
}
