package image_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	bolt "go.etcd.io/bbolt"
)

// What meta.db says in a way that nobody understands, be it damage or another
// version's way, is not there: a pull brings it back and fetches no layer.
func TestDamagedMeta(t *testing.T) {
	records := func(change func(v []byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) { rewrite(t, path, change) }
	}
	for name, damage := range map[string]func(*testing.T, string){
		"records without checksums": records(func(v []byte) []byte { return v[:len(v)-9] }),
		"records that changed":      records(func(v []byte) []byte { return append([]byte{v[0] ^ 1}, v[1:]...) }),
		"empty records":             records(func([]byte) []byte { return nil }),
		"no database":               func(t *testing.T, path string) { write(t, path, []byte("no database")) },
		"a database of zeros":       func(t *testing.T, path string) { write(t, path, make([]byte, 1<<16)) },
		"an empty file":             func(t *testing.T, path string) { write(t, path, nil) },
		"a short file":              func(t *testing.T, path string) { write(t, path, make([]byte, 100)) },
		"another database": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			rewrite(t, path, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, reg, host := open(t, image.Options{})
			img := pull(t, s, reg, host, "a:1", imagetest.Random(1, 3, 3000))
			damage(t, filepath.Join(s.Root(), "meta.db"))
			s, err := reopen(t, s)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Get(t.Context(), host+"/a:1"); !errors.Is(err, image.ErrNotFound) {
				t.Errorf("it is still there: %v", err)
			}
			reg.Requests()
			if _, err := s.Pull(t.Context(), host+"/a:1", image.PullOptions{}); err != nil {
				t.Fatal(err)
			}
			for _, r := range reg.Requests() {
				if strings.Contains(r, "/blobs/") && !strings.Contains(r, img.ID.String()) {
					t.Errorf("it was fetched again: %s", r)
				}
			}
			if again, err := s.Get(t.Context(), host+"/a:1"); err != nil || again.ID != img.ID || again.Since.IsZero() {
				t.Errorf("after the pull: %+v, %v", again, err)
			}
			if _, err := s.Repair(t.Context()); err != nil {
				t.Error(err)
			}
			wantClean(t, s)
		})
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// rewrite changes the value of every record.
func rewrite(t *testing.T, path string, change func(v []byte) []byte) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bolt.Bucket) error {
			values := map[string][]byte{}
			err := b.ForEach(func(k, v []byte) error {
				values[string(k)] = change(v)
				return nil
			})
			for k, v := range values {
				err = errors.Join(err, b.Put([]byte(k), v))
			}
			return err
		})
	})
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}
