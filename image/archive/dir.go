package archive

import (
	"io"
	"io/fs"
	"os"
	"syscall"
)

// tree is a directory. Links that lead out of it are not followed.
type tree struct{ root *os.Root }

func (t tree) open(name string) (io.ReadCloser, int64, error) {
	if !fs.ValidPath(name) {
		return nil, 0, invalid("name %q leads out of the directory", name)
	}
	f, err := t.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO would wait for its other end
	if err != nil {
		return nil, 0, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = invalid("%s is no regular file", name)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, fi.Size(), nil
}
