package cri

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// copyTree copies what is at name, with owners, modes, times and extended
// attributes. Links are copied, not followed; nothing outside the roots is
// touched.
func copyTree(from, to *os.Root, name string) error {
	fi, err := from.Lstat(name)
	if err != nil {
		return err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: no owner is known", name)
	}
	switch fi.Mode().Type() {
	case fs.ModeSymlink:
		target, err := from.Readlink(name)
		if err != nil {
			return err
		}
		return errors.Join(to.Symlink(target, name), to.Lchown(name, int(st.Uid), int(st.Gid)))
	case fs.ModeDir:
		err = copyDir(from, to, name)
	case 0:
		err = copyFile(from, to, name)
	default:
		err = copyNode(to, name, st)
	}
	if err != nil {
		return err
	}
	// The owner first: changing it clears setuid, and then the times.
	if err := to.Lchown(name, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := to.Chmod(name, fi.Mode().Perm()|fi.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
		return err
	}
	if fi.Mode().IsRegular() || fi.IsDir() {
		if err := copyAttributes(from, to, name); err != nil {
			return err
		}
	}
	return to.Chtimes(name, fi.ModTime(), fi.ModTime())
}

func copyDir(from, to *os.Root, name string) error {
	if name != "." {
		if err := to.Mkdir(name, 0o700); err != nil {
			return err
		}
	}
	d, err := from.Open(name)
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	for _, n := range names {
		if err := copyTree(from, to, path.Join(name, n)); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to *os.Root, name string) error {
	src, err := from.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

func copyNode(to *os.Root, name string, st *syscall.Stat_t) error {
	dir, err := to.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Mknodat(int(dir.Fd()), path.Base(name), st.Mode, int(st.Rdev)); err != nil {
		return &fs.PathError{Op: "mknod", Path: name, Err: err}
	}
	return nil
}

// copyAttributes copies extended attributes but for SELinux' labels.
func copyAttributes(from, to *os.Root, name string) error {
	src, err := from.Open(name)
	if err != nil {
		return err
	}
	defer src.Close()
	buf := make([]byte, 64<<10) // the kernel's own limit of names and of a value
	n, err := unix.Flistxattr(int(src.Fd()), buf)
	if errors.Is(err, unix.ENOTSUP) || err == nil && n == 0 {
		return nil
	}
	if err != nil {
		return &fs.PathError{Op: "listxattr", Path: name, Err: err}
	}
	dst, err := to.Open(name)
	if err != nil {
		return err
	}
	defer dst.Close()
	for _, key := range strings.Split(strings.TrimRight(string(buf[:n]), "\x00"), "\x00") {
		// trusted.overlay belongs to the snapshot's own overlay.
		if key == "security.selinux" || strings.HasPrefix(key, "trusted.overlay.") {
			continue
		}
		value := make([]byte, 64<<10)
		size, err := unix.Fgetxattr(int(src.Fd()), key, value)
		if err == nil {
			err = unix.Fsetxattr(int(dst.Fd()), key, value[:size], 0)
		}
		if err != nil && !errors.Is(err, unix.ENODATA) {
			return &fs.PathError{Op: "copy attribute " + key, Path: name, Err: err}
		}
	}
	return nil
}
