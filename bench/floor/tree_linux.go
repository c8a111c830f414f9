package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tree writes into one directory.
type tree struct {
	root  int
	dir   string // the last one that was used
	fd    int
	buf   []byte
	times []dirTimes
}

type dirTimes struct {
	name string
	ts   []unix.Timespec
}

// untar makes names, contents, owners, modes and times of what an image of
// package files has: files, directories, links.
func untar(r io.Reader, dir string) (err error) {
	t := &tree{dir: ".", buf: make([]byte, 256<<10)}
	if t.root, err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY, 0); err != nil {
		return err
	}
	t.fd = t.root
	defer func() { err = errors.Join(err, t.leave(), unix.Close(t.root)) }()
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = t.entry(h, tr)
		}
		if err != nil {
			return err
		}
	}
	for _, d := range slices.Backward(t.times) {
		if err := unix.UtimesNanoAt(t.root, d.name, d.ts, 0); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) leave() error {
	if t.fd == t.root {
		return nil
	}
	return unix.Close(t.fd)
}

func (t *tree) enter(dir string) error {
	if dir == t.dir {
		return nil
	}
	if err := t.leave(); err != nil {
		return err
	}
	t.dir, t.fd = ".", t.root
	fd, err := unix.Openat(t.root, dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err == nil {
		t.dir, t.fd = dir, fd
	}
	return err
}

func (t *tree) entry(h *tar.Header, r io.Reader) error {
	name := path.Clean(h.Name)
	base := path.Base(name)
	if err := t.enter(path.Dir(name)); err != nil {
		return err
	}
	ts := []unix.Timespec{unix.NsecToTimespec(h.ModTime.UnixNano()), unix.NsecToTimespec(h.ModTime.UnixNano())}
	var err error
	switch h.Typeflag {
	case tar.TypeReg:
		return t.file(base, h, ts, r)
	case tar.TypeDir:
		err = unix.Mkdirat(t.fd, base, uint32(h.Mode)&0o7777)
		t.times = append(t.times, dirTimes{name, ts})
		ts = nil
	case tar.TypeSymlink:
		err = unix.Symlinkat(h.Linkname, t.fd, base)
	default:
		err = fmt.Errorf("%s: no entry of type %q is expected", h.Name, h.Typeflag)
	}
	if err == nil && h.Uid+h.Gid != 0 {
		err = unix.Fchownat(t.fd, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err == nil && ts != nil {
		err = unix.UtimesNanoAt(t.fd, base, ts, unix.AT_SYMLINK_NOFOLLOW)
	}
	return err
}

func (t *tree) file(base string, h *tar.Header, ts []unix.Timespec, r io.Reader) error {
	fd, err := unix.Openat(t.fd, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, uint32(h.Mode)&0o7777)
	if err != nil {
		return err
	}
	for {
		n, err := io.ReadFull(r, t.buf)
		if n > 0 {
			if _, err := unix.Write(fd, t.buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if h.Uid+h.Gid != 0 {
		if err := errors.Join(unix.Fchown(fd, h.Uid, h.Gid), unix.Fchmod(fd, uint32(h.Mode)&0o7777)); err != nil {
			return err
		}
	}
	return errors.Join(futimens(fd, ts), unix.Close(fd))
}

// futimens sets the times of an open file.
func futimens(fd int, ts []unix.Timespec) error {
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&ts[0])), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
