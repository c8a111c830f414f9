package layer

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// The names by which a layer removes what lies below it.
const (
	whiteoutPrefix = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
	whiteoutMeta   = ".wh..wh."
)

// clean makes a name relative to the layer's root. What climbs out of it, in
// whatever way it is written, is refused.
func clean(name string) (string, error) {
	if strings.IndexByte(name, 0) >= 0 {
		return "", fmt.Errorf("name with a NUL byte: %w", ErrUnsafe)
	}
	c := path.Clean(strings.TrimLeft(name, "/"))
	if c == ".." || strings.HasPrefix(c, "../") {
		return "", ErrUnsafe
	}
	return c, nil
}

// whiteout takes the prefix off a base name. The names of the parent and of the
// directory itself are refused.
func whiteout(base string) (target string, ok bool, err error) {
	target, ok = strings.CutPrefix(base, whiteoutPrefix)
	if ok && (target == "" || target == "." || target == "..") {
		return "", true, fmt.Errorf("whiteout of %q: %w", target, ErrUnsafe)
	}
	return target, ok, nil
}

func entryError(name string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	if len(name) > 200 {
		name = name[:200] + "…"
	}
	return fmt.Errorf("entry %q: %w", name, err)
}

// bounded reads the stream and ends with ErrLimit past limit bytes.
type bounded struct {
	r      io.Reader
	n      int64
	limits Limits
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n += int64(n)
	if lerr := b.limits.unpacked(b.n); lerr != nil {
		return n, lerr
	}
	return n, err
}
