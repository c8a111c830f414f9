package volume

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/lifepod/lifepod/internal/sys"
)

var effectChown = sys.NewEffect("volume/chown")

// giveToGroup gives the volume at path and all in it to the group: it may read,
// and write unless the volume is read-only, and what is made in a directory is
// the group's too.
func giveToGroup(path string, group int64, readOnly bool) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	err = effectChown.Do(func() error {
		return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return giveOne(root, name, d, int(group), readOnly)
		})
	})
	if err != nil {
		return fmt.Errorf("give %s to group %d: %w", path, group, err)
	}
	return nil
}

func giveOne(root *os.Root, name string, d fs.DirEntry, group int, readOnly bool) error {
	if err := root.Lchown(name, -1, group); err != nil {
		return err
	}
	if d.Type()&fs.ModeSymlink != 0 {
		return nil // its mode means nothing; chmod would change another file's
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	mode := info.Mode() | 0o660
	if readOnly {
		mode = info.Mode() | 0o440
	}
	if d.IsDir() {
		mode |= fs.ModeSetgid | 0o110
	}
	return root.Chmod(name, mode)
}
