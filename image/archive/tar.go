package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Bounds of a tar: what is kept of it is names and places.
const (
	maxEntries = 100_000
	maxName    = 1024
	maxLinks   = 4 // on the way to one file
)

// tarFiles is an index of a tar that lies on a disk.
type tarFiles struct {
	at    io.ReaderAt
	files map[string]span
	links map[string]string
}

// span is where in the tar a file's bytes are.
type span struct{ off, size int64 }

// readTar finds all files of a tar, without reading what is in them.
func readTar(ctx context.Context, at io.ReaderAt, size int64) (*tarFiles, error) {
	t := &tarFiles{at: at, files: map[string]span{}, links: map[string]string{}}
	sr := io.NewSectionReader(at, 0, size)
	for r := tar.NewReader(sr); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, invalid("no tar, or cut short: %w", err)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		off, err := sr.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		if err := t.add(h, span{off, h.Size}, size); err != nil {
			return nil, err
		}
	}
	if len(t.files) == 0 {
		return nil, invalid("it holds no file")
	}
	return t, nil
}

func (t *tarFiles) add(h *tar.Header, s span, size int64) error {
	name, err := inside(h.Name)
	if err != nil {
		return err
	}
	if len(t.files)+len(t.links) >= maxEntries {
		return invalid("more than %d entries", maxEntries)
	}
	_, isFile := t.files[name]
	_, isLink := t.links[name]
	if (isFile || isLink) && h.Typeflag != tar.TypeDir {
		return invalid("entry %q is in it twice", h.Name)
	}
	switch h.Typeflag {
	case tar.TypeDir, tar.TypeXGlobalHeader:
	case tar.TypeReg:
		if sparse(h) || s.size < 0 || s.off > size || s.size > size-s.off {
			return invalid("entry %q is sparse or has no %d bytes", h.Name, s.size)
		}
		t.files[name] = s
	case tar.TypeSymlink, tar.TypeLink:
		target := h.Linkname
		if h.Typeflag == tar.TypeSymlink && !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		if t.links[name], err = inside(target); err != nil {
			return invalid("entry %q is a link: %w", h.Name, err)
		}
	default:
		return invalid("entry %q has the type %q: a device or the like has no place in it", h.Name, h.Typeflag)
	}
	return nil
}

// inside is a name without its leading "./", refused if it leads out.
func inside(name string) (string, error) {
	clean := path.Clean(name)
	if len(name) > maxName {
		return "", invalid("a name of %d bytes, at most %d are allowed", len(name), maxName)
	}
	if name == "" || path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") || strings.ContainsRune(name, 0) {
		return "", invalid("entry %q leads out of the archive", name)
	}
	return clean, nil
}

func sparse(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// open follows links, as docker save makes them for layers that it has twice.
func (t *tarFiles) open(name string) (io.ReadCloser, int64, error) {
	name = path.Clean(name)
	for range maxLinks + 1 {
		if s, ok := t.files[name]; ok {
			return io.NopCloser(io.NewSectionReader(t.at, s.off, s.size)), s.size, nil
		}
		next, ok := t.links[name]
		if !ok {
			return nil, 0, fmt.Errorf("%q is not in the archive: %w", name, fs.ErrNotExist)
		}
		name = next
	}
	return nil, 0, invalid("link %q leads on and on", name)
}
