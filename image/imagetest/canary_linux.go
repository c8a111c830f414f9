package imagetest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Canary is a directory that nothing may change: what tries to get out of a root
// is aimed at it.
type Canary struct {
	// Dir holds the file "f", the directory "d" with a file of that name, and the
	// symbolic link "l" to "f".
	Dir    string
	before string
}

// NewCanary makes dir, which must not exist.
func NewCanary(t testing.TB, dir string) *Canary {
	t.Helper()
	c := &Canary{Dir: dir}
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "d"), 0o750), os.WriteFile(filepath.Join(dir, "f"), []byte("canary"), 0o640),
		os.WriteFile(filepath.Join(dir, "d", "f"), []byte("canary"), 0o600), os.Symlink("f", filepath.Join(dir, "l")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if c.before, err = describe(dir); err != nil {
		t.Fatal(err)
	}
	return c
}

// Check fails the test if anything changed: names, contents, owners, modes,
// numbers of links, extended attributes, times.
func (c *Canary) Check(t testing.TB) {
	t.Helper()
	after, err := describe(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if after != c.before {
		t.Fatalf("the outside changed: it was\n%sand is\n%s", c.before, after)
	}
}

func describe(dir string) (string, error) {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		names := make([]byte, 4096)
		n, err := unix.Llistxattr(p, names)
		if err != nil && n > 0 {
			return err
		}
		var data []byte
		if st.Mode&unix.S_IFMT == unix.S_IFREG {
			if data, err = os.ReadFile(p); err != nil {
				return err
			}
		}
		// The time of the last change of the inode covers all attributes.
		fmt.Fprintf(&b, "%s: inode %d, mode %o, owner %d:%d, %d links, size %d, times %v %v, attributes %q, %q\n",
			p, st.Ino, st.Mode, st.Uid, st.Gid, st.Nlink, st.Size, st.Mtim, st.Ctim, names[:max(n, 0)], data)
		return nil
	})
	return b.String(), err
}
