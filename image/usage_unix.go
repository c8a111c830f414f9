//go:build unix

package image

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
)

// diskUsage walks over a tree that may change meanwhile.
func diskUsage(ctx context.Context, dir string) (Usage, error) {
	var u Usage
	seen := map[uint64]bool{}
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		fi, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // removed meanwhile
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok || st.Nlink > 1 && !d.IsDir() && seen[st.Ino] {
			return nil
		}
		if st.Nlink > 1 && !d.IsDir() {
			seen[st.Ino] = true
		}
		u.Inodes++
		u.Bytes += st.Blocks * 512
		return nil
	})
	return u, err
}
