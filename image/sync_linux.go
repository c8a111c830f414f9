package image

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncFS puts all that was written to the filesystem of path on its disk.
func syncFS(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
