//go:build !unix

package image

import (
	"context"
	"io/fs"
	"path/filepath"
)

// diskUsage adds up file sizes, where nothing tells what they take on disk.
func diskUsage(ctx context.Context, dir string) (Usage, error) {
	var u Usage
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if fi, err := d.Info(); err == nil {
			u.Inodes++
			u.Bytes += fi.Size()
		}
		return ctx.Err()
	})
	return u, err
}
