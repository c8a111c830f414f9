package netns

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/internal/sys"
)

// Do runs f on a thread that is in the network namespace at path. What f makes
// there (sockets, netlink handles) stays there; goroutines that f starts do not
// run there. It returns f's error, or says why path cannot be entered: the
// error wraps os.ErrNotExist when nothing is there and [ErrNotNamespace] when
// it is something else, a pin without its mount, say.
func Do(path string, f func() error) error {
	ns, err := open(path, unix.CLONE_NEWNET)
	if err != nil {
		return err
	}
	defer ns.Close()
	return sys.OnThread(func() (error, bool) { return enter(ns, f) })
}

func enter(ns *os.File, f func() error) (_ error, restored bool) {
	old, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err, true
	}
	defer old.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace %s: %w", ns.Name(), err), true
	}
	err = f()
	if back := unix.Setns(int(old.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, fmt.Errorf("leave the network namespace %s: %w", ns.Name(), back)), false
	}
	return err, true
}

// Open opens the network namespace at path, with the errors of [Do].
func Open(path string) (*os.File, error) { return open(path, unix.CLONE_NEWNET) }

// Valid says whether path holds a network namespace, with the errors of [Do].
func Valid(path string) error { return valid(path, unix.CLONE_NEWNET) }

func valid(path string, kind int) error {
	f, err := open(path, kind)
	if err != nil {
		return err
	}
	return f.Close()
}

// open opens a namespace file. The path comes from outside: it is opened
// without blocking on a FIFO and asked what it is before it is used.
func open(path string, kind int) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open namespace", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		f.Close()
		return nil, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	if int64(st.Type) != unix.NSFS_MAGIC {
		f.Close()
		return nil, fmt.Errorf("%s: %w: nothing is pinned there (file system %#x)", path, ErrNotNamespace, st.Type)
	}
	got, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
	if err != nil || got != kind {
		f.Close()
		return nil, fmt.Errorf("%s: %w of this kind (type %#x, want %#x)", path, ErrNotNamespace, got, kind)
	}
	return f, nil
}
