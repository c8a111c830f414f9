package layer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxDifferences bounds what Compare returns.
const maxDifferences = 100

// errEnough ends a comparison that has found enough.
var errEnough = errors.New("enough differences")

// Compare lists in what the trees below two directories differ: names, types,
// modes, owners, modification times, devices, link targets, which names are the
// same file, extended attributes, contents. The directories themselves are
// compared by mode, owner and extended attributes; whiteouts have no times. It reads every byte of both,
// and returns at most 100 differences, a line each, in the order of names.
func Compare(ctx context.Context, a, b string) ([]string, error) {
	c := &comparison{first: map[[2]uint64]string{}, second: map[[2]uint64]string{}}
	for i := range c.buf {
		c.buf[i] = make([]byte, 128<<10)
	}
	x, err := openDir(unix.AT_FDCWD, a)
	if err != nil {
		return nil, fmt.Errorf("compare %s: %w", a, err)
	}
	defer x.Close()
	y, err := openDir(unix.AT_FDCWD, b)
	if err != nil {
		return nil, fmt.Errorf("compare %s: %w", b, err)
	}
	defer y.Close()
	err = c.entry(ctx, int(x.Fd()), int(y.Fd()), ".", ".")
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err != nil {
		return c.diffs, fmt.Errorf("compare %s with %s: %w", a, b, err)
	}
	return c.diffs, nil
}

type comparison struct {
	diffs []string
	// first and second map files with several names to the first of them.
	first, second map[[2]uint64]string
	buf           [2][]byte
}

func (c *comparison) differ(p, format string, args ...any) error {
	c.diffs = append(c.diffs, fmt.Sprintf("%q: %s", p, fmt.Sprintf(format, args...)))
	if len(c.diffs) >= maxDifferences {
		return errEnough
	}
	return nil
}

// dir compares the entries of two directories.
func (c *comparison) dir(ctx context.Context, a, b *os.File, p string) error {
	x, err := a.Readdirnames(-1)
	if err != nil {
		return entryError(p, err)
	}
	y, err := b.Readdirnames(-1)
	if err != nil {
		return entryError(p, err)
	}
	all := append(x, y...)
	slices.Sort(all)
	for _, n := range slices.Compact(all) {
		if err := c.entry(ctx, int(a.Fd()), int(b.Fd()), n, path.Join(p, n)); err != nil {
			return err
		}
	}
	return nil
}

// entry compares what two directories have under one name.
func (c *comparison) entry(ctx context.Context, a, b int, name, p string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var x, y unix.Stat_t
	one, err := there(a, name, &x)
	if err != nil {
		return entryError(p, err)
	}
	two, err := there(b, name, &y)
	if err != nil {
		return entryError(p, err)
	}
	if !one || !two {
		return c.absent(p, one, two)
	}
	if err := c.stat(p, &x, &y); err != nil {
		return err
	}
	if err := c.xattrs(a, b, name, p); err != nil {
		return err
	}
	if x.Mode&unix.S_IFMT != y.Mode&unix.S_IFMT {
		return nil
	}
	switch x.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return entryError(p, c.file(a, b, name, p))
	case unix.S_IFLNK:
		return c.link(a, b, name, p)
	case unix.S_IFDIR:
		d, err := openDir(a, name)
		if err != nil {
			return entryError(p, err)
		}
		defer d.Close()
		e, err := openDir(b, name)
		if err != nil {
			return entryError(p, err)
		}
		defer e.Close()
		return c.dir(ctx, d, e, p)
	}
	return nil
}

// there asks for a file's status. A directory may list what is not there:
// overlayfs lists whiteouts in a directory that one layer alone has.
func there(dir int, name string, st *unix.Stat_t) (bool, error) {
	err := unix.Fstatat(dir, name, st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil, err
}

func (c *comparison) absent(p string, one, two bool) error {
	switch {
	case one:
		return c.differ(p, "only in the first")
	case two:
		return c.differ(p, "only in the second")
	}
	return nil
}

func (c *comparison) stat(p string, x, y *unix.Stat_t) error {
	type attributes struct {
		mode, uid, gid uint32
		rdev           uint64
		size           int64
		mtime          unix.Timespec
	}
	of := func(st *unix.Stat_t) attributes {
		a := attributes{mode: st.Mode, uid: st.Uid, gid: st.Gid}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFCHR, unix.S_IFBLK:
			a.rdev = st.Rdev
		case unix.S_IFREG:
			a.size = st.Size
		}
		if p != "." && !isWhiteout(st) {
			a.mtime = st.Mtim
		}
		return a
	}
	if f, g := of(x), of(y); f != g {
		if err := c.differ(p, "mode %o and %o, owner %d:%d and %d:%d, device %x and %x, size %d and %d, time %d.%09d and %d.%09d",
			f.mode, g.mode, f.uid, f.gid, g.uid, g.gid, f.rdev, g.rdev, f.size, g.size, f.mtime.Sec, f.mtime.Nsec, g.mtime.Sec, g.mtime.Nsec); err != nil {
			return err
		}
	}
	if x.Mode&unix.S_IFMT == unix.S_IFDIR {
		return nil
	}
	if f, g := first(c.first, x, p), first(c.second, y, p); f != g {
		return c.differ(p, "the same file as %q and %q", f, g)
	}
	return nil
}

// first returns the first name of a file with several.
func first(seen map[[2]uint64]string, st *unix.Stat_t, p string) string {
	if st.Nlink < 2 {
		return p
	}
	id := [2]uint64{st.Dev, st.Ino}
	if _, ok := seen[id]; !ok {
		seen[id] = p
	}
	return seen[id]
}

func (c *comparison) xattrs(a, b int, name, p string) error {
	x, err := readXattrs(procPath(a, name))
	if err != nil {
		return entryError(p, err)
	}
	y, err := readXattrs(procPath(b, name))
	if err != nil {
		return entryError(p, err)
	}
	if !maps.Equal(x, y) {
		return c.differ(p, "attributes %q and %q", x, y)
	}
	return nil
}

func (c *comparison) link(a, b int, name, p string) error {
	x, y := make([]byte, unix.PathMax), make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(a, name, x)
	if err != nil {
		return entryError(p, err)
	}
	m, err := unix.Readlinkat(b, name, y)
	if err != nil {
		return entryError(p, err)
	}
	if !bytes.Equal(x[:n], y[:m]) {
		return c.differ(p, "link to %q and %q", x[:n], y[:m])
	}
	return nil
}

func (c *comparison) file(a, b int, name, p string) error {
	x, err := openFile(a, name)
	if err != nil {
		return err
	}
	defer x.Close()
	y, err := openFile(b, name)
	if err != nil {
		return err
	}
	defer y.Close()
	for at := 0; ; {
		n, err := io.ReadFull(x, c.buf[0])
		m, err2 := io.ReadFull(y, c.buf[1])
		if !bytes.Equal(c.buf[0][:n], c.buf[1][:m]) {
			return c.differ(p, "the content, within the %d bytes from %d on", len(c.buf[0]), at)
		}
		at += n
		if err == nil && err2 == nil {
			continue
		}
		for _, e := range []error{err, err2} {
			if e != nil && !errors.Is(e, io.EOF) && !errors.Is(e, io.ErrUnexpectedEOF) {
				return e
			}
		}
		return nil
	}
}

func openDir(dir int, name string) (*os.File, error) {
	return openOne(dir, name, unix.O_DIRECTORY)
}

func openFile(dir int, name string) (*os.File, error) {
	return openOne(dir, name, unix.O_NONBLOCK)
}

// openOne opens a name for reading, without following a link.
func openOne(dir int, name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// readXattrs reads all extended attributes of a file, not of what it links to.
func readXattrs(p string) (map[string]string, error) {
	buf := make([]byte, 64<<10) // the kernel's bound for the names, and for a value
	n, err := unix.Llistxattr(p, buf)
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil || n == 0 {
		return nil, err
	}
	all, value := map[string]string{}, make([]byte, 64<<10)
	for name := range strings.SplitSeq(strings.TrimRight(string(buf[:n]), "\x00"), "\x00") {
		n, err := unix.Lgetxattr(p, name, value)
		if errors.Is(err, unix.ENODATA) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all[name] = string(value[:n])
	}
	return all, nil
}
