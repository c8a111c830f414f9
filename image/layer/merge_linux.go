package layer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// Merge copies layers, the lowest first, into dst, an empty directory: what
// overlayfs would show of them, without whiteouts and opaque marks. Data is
// shared with the layers where the filesystem can do that, and holes stay holes.
// After an error dst holds a part.
func Merge(ctx context.Context, dst string, layers []string, o Options) error {
	to, err := openDir(unix.AT_FDCWD, dst)
	if err != nil {
		return fmt.Errorf("merge layers into %s: %w", dst, err)
	}
	defer to.Close()
	var from []*os.File // the highest first
	defer func() { closeAll(from) }()
	for i := len(layers) - 1; i >= 0; i-- {
		d, err := openDir(unix.AT_FDCWD, layers[i])
		if err != nil {
			return fmt.Errorf("merge layer %s: %w", layers[i], err)
		}
		from = append(from, d)
		if Opaque(layers[i]) {
			break
		}
	}
	m := &merger{o: o, root: int(to.Fd()), first: map[[2]uint64]string{}}
	if err := m.dir(ctx, to, from, "."); err != nil {
		return fmt.Errorf("merge layers into %s: %w", dst, err)
	}
	return nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// merger is the state of one Merge.
type merger struct {
	o    Options
	root int
	// first is the copy of each file with several names.
	first map[[2]uint64]string
}

// dir fills the directory p with what the directories from, the highest first,
// have in it.
func (m *merger) dir(ctx context.Context, to *os.File, from []*os.File, p string) error {
	seen := map[string]bool{}
	for i, d := range from {
		list, err := d.Readdirnames(-1)
		if err != nil {
			return entryError(p, err)
		}
		for _, name := range list {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if seen[name] {
				continue
			}
			seen[name] = true
			if err := m.entry(ctx, to, from[i:], name, path.Join(p, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry copies what the first of from has under name, with what the others add
// to it if it is a directory.
func (m *merger) entry(ctx context.Context, to *os.File, from []*os.File, name, p string) error {
	src, dst := int(from[0].Fd()), int(to.Fd())
	var st unix.Stat_t
	if err := unix.Fstatat(src, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return entryError(p, err)
	}
	if isWhiteout(&st) {
		return nil
	}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	var err error
	switch {
	case isDir:
		err = m.subdir(ctx, to, from, name, p)
	case m.linked(dst, name, p, &st):
		return nil
	default:
		err = m.node(dst, src, name, &st)
	}
	if err == nil {
		err = copyAttributes(dst, src, name, &st, m.o)
	}
	return entryError(p, err)
}

func (m *merger) subdir(ctx context.Context, to *os.File, from []*os.File, name, p string) error {
	var parts []*os.File
	defer func() { closeAll(parts) }()
	for _, f := range from {
		d, err := openDir(int(f.Fd()), name)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			break // hidden from here on down
		}
		if err != nil {
			return err
		}
		parts = append(parts, d)
		if Opaque(procPath(int(d.Fd()), ".")) {
			break
		}
	}
	if err := unix.Mkdirat(int(to.Fd()), name, 0o700); err != nil {
		return err
	}
	sub, err := openDir(int(to.Fd()), name)
	if err != nil {
		return err
	}
	defer sub.Close()
	return m.dir(ctx, sub, parts, p)
}

// linked makes name another name of a file that was copied before.
func (m *merger) linked(dst int, name, p string, st *unix.Stat_t) bool {
	if st.Nlink < 2 {
		return false
	}
	id := [2]uint64{st.Dev, st.Ino}
	if old, ok := m.first[id]; ok {
		return unix.Linkat(m.root, old, dst, name, 0) == nil // else too many links: a copy
	}
	m.first[id] = p
	return false
}

func (m *merger) node(dst, src int, name string, st *unix.Stat_t) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return copyFile(dst, src, name, st.Size)
	case unix.S_IFLNK:
		buf := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(src, name, buf)
		if err != nil {
			return err
		}
		return unix.Symlinkat(string(buf[:n]), dst, name)
	}
	return unix.Mknodat(dst, name, st.Mode&unix.S_IFMT|0o600, int(st.Rdev))
}

// copyFile copies the content of a regular file.
func copyFile(dst, src int, name string, size int64) error {
	in, err := openFile(src, name)
	if err != nil {
		return err
	}
	defer in.Close()
	fd, err := unix.Openat(dst, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	err = unix.IoctlFileClone(fd, int(in.Fd()))
	if err != nil { // not all filesystems share data between files
		if err = copyData(fd, int(in.Fd()), size); err == nil {
			err = unix.Ftruncate(fd, size)
		}
	}
	return errors.Join(err, unix.Close(fd))
}

// copyData copies what is not a hole.
func copyData(out, in int, size int64) error {
	for at := int64(0); at < size; {
		start, err := unix.Seek(in, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		end, err := unix.Seek(in, start, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if err := copyRange(out, in, start, end); err != nil {
			return err
		}
		at = end
	}
	return nil
}

func copyRange(out, in int, at, end int64) error {
	for at < end {
		r, w := at, at
		n, err := unix.CopyFileRange(in, &r, out, &w, int(min(end-at, 1<<30)), 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return nil // it became shorter
		}
		at += int64(n)
	}
	return nil
}
