package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/lifepod/lifepod/internal/sys"
)

// effectSave gives a saved directory its name.
var effectSave = sys.NewEffect("image/archive/save")

// tarSink writes files into a tar, all with the same attributes.
type tarSink struct{ *tar.Writer }

func newTarSink(w io.Writer) tarSink { return tarSink{tar.NewWriter(w)} }

func (t tarSink) file(name string, size int64, write func(io.Writer) error) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0)}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	return write(t)
}

// dirSink writes files below a directory that gets its name at the end.
type dirSink struct{ half, final string }

// newDirSink begins beside dir, which must not exist, or be empty.
func newDirSink(dir string) (*dirSink, error) {
	dir = filepath.Clean(dir)
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("directory %s is not empty: name a new one", dir)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	half, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-")
	if err != nil {
		return nil, err
	}
	return &dirSink{half, dir}, os.Chmod(half, 0o755)
}

func (d *dirSink) file(name string, _ int64, write func(io.Writer) error) error {
	full := filepath.Join(d.half, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Join(d.half, path.Dir(name)), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(full, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	err = write(f)
	return errors.Join(err, f.Close())
}

func (d *dirSink) commit() error {
	return effectSave.Do(func() error {
		if err := os.Remove(d.final); err != nil && !errors.Is(err, os.ErrNotExist) { // an empty one goes
			return err
		}
		return os.Rename(d.half, d.final)
	})
}

// Close removes what was not committed.
func (d *dirSink) Close() error { return os.RemoveAll(d.half) }
