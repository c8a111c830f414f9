package sys

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// What is read is what was written last, of any length.
func TestRewrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.json")
	for _, n := range []int{10, 1000, 3, 0, rewriteLimit - 2, 5, rewriteLimit - 1, 7, 100} {
		b, _ := json.Marshal(strings.Repeat("x", n))
		if err := Rewrite(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadRewritten(path)
		if err != nil || !bytes.Equal(bytes.TrimRight(got, " "), b) {
			t.Errorf("%d bytes: read %.20q…, %v", n, got, err)
		}
	}
	fi, err := os.Stat(path)
	if err != nil || fi.Mode() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside it: %v, %v", entries, err)
	}
}

// Content of a page or less keeps the file's inode; more is a new file, which
// appears whole.
func TestRewriteInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.json")
	var files []os.FileInfo
	for _, n := range []int{10, 1000, rewriteLimit - 1} {
		b, _ := json.Marshal(strings.Repeat("x", n))
		if err := Rewrite(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, fi)
	}
	if !os.SameFile(files[0], files[1]) || os.SameFile(files[1], files[2]) {
		t.Errorf("in place %v, then %v; want true, false", os.SameFile(files[0], files[1]), os.SameFile(files[1], files[2]))
	}
}

// A reader beside a writer sees one content or the other.
func TestRewriteBesideReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.json")
	contents := [][]byte{[]byte(`"` + strings.Repeat("a", 4000) + `"`), []byte(`"` + strings.Repeat("b", 2000) + `"`)}
	if err := Rewrite(path, contents[0], 0o600); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, err := ReadRewritten(path)
				got = bytes.TrimRight(got, " ")
				if err != nil || !bytes.Equal(got, contents[0]) && !bytes.Equal(got, contents[1]) {
					t.Errorf("read %.10q… of %d bytes, %v", got, len(got), err)
					return
				}
			}
		})
	}
	for i := range 2000 {
		if err := Rewrite(path, contents[i%2], 0o600); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	readers.Wait()
}
