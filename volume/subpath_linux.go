package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func bindSubPath(r SubPathRequest) (string, error) {
	root, err := os.OpenFile(r.Volume.Path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", r.failed("prepare subPath", err)
	}
	defer root.Close()
	f, err := openIn(root, r.SubPath)
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = makeIn(root, r.SubPath); err != nil {
			return "", r.failed("create subPath directory", err)
		}
	}
	if err != nil {
		return "", r.failed("prepare subPath", err)
	}
	defer f.Close()
	target := r.target()
	if err := bind(f, target); err != nil {
		return "", r.failed("prepare subPath", err)
	}
	return target, nil
}

// openIn opens name without ever leaving root, whatever its links say.
func openIn(root *os.File, name string) (*os.File, error) {
	name = path.Clean(name)
	fd, err := unix.Openat2(int(root.Fd()), name, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: filepath.Join(root.Name(), name), Err: err}
	}
	return os.NewFile(uintptr(fd), filepath.Join(root.Name(), name)), nil
}

// makeIn makes the directories of name that are missing, with root's mode, and
// opens the last.
func makeIn(root *os.File, name string) (*os.File, error) {
	info, err := root.Stat()
	if err != nil {
		return nil, err
	}
	have, missing := path.Clean(name), ""
	dir, err := openIn(root, have)
	for errors.Is(err, fs.ErrNotExist) && have != "." {
		missing = path.Join(path.Base(have), missing)
		have = path.Dir(have)
		dir, err = openIn(root, have)
	}
	if err != nil {
		return nil, err
	}
	for part := range strings.SplitSeq(missing, "/") {
		next, err := makeOne(dir, part, info.Mode())
		dir.Close()
		if err != nil {
			return nil, err
		}
		dir = next
	}
	return dir, nil
}

func makeOne(dir *os.File, name string, mode fs.FileMode) (*os.File, error) {
	// Another container of the pod may have made it meanwhile; then it is as
	// good as what is made here, and its mode is left alone.
	err := unix.Mkdirat(int(dir.Fd()), name, uint32(mode.Perm()))
	mine := err == nil
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("mkdir %s in %s: %w", name, dir.Name(), err)
	}
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s in %s: %w", name, dir.Name(), err)
	}
	f := os.NewFile(uintptr(fd), filepath.Join(dir.Name(), name))
	if mine {
		if err := f.Chmod(mode); err != nil { // past the umask, with the set-group-id bit
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

// bind mounts the open file at target, unless it is mounted there already.
func bind(f *os.File, target string) error {
	there, err := isMounted(target)
	if err != nil && !errors.Is(err, unix.ESTALE) && !errors.Is(err, unix.ENOTCONN) {
		return err
	}
	if there {
		if same, err := sameFile(f, target); same && err == nil {
			return nil
		}
	}
	if there || err != nil {
		// Lazily: the old one may hang, and nobody may wait for it.
		if err := unmount(target, unix.MNT_DETACH); err != nil {
			return err
		}
	}
	if err := makeTarget(f, target); err != nil {
		return err
	}
	err = effectMount.Do(func() error {
		return unix.Mount(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), target, "", unix.MS_BIND, "")
	})
	if err != nil {
		return fmt.Errorf("bind %s to %s: %w", f.Name(), target, err)
	}
	return nil
}

// makeTarget makes what f is to be mounted on: a directory for a directory, a
// file for all else.
func makeTarget(f *os.File, target string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if have, err := os.Lstat(target); err == nil && have.IsDir() != info.IsDir() {
		if err := os.Remove(target); err != nil {
			return err
		}
	}
	if info.IsDir() {
		return os.MkdirAll(target, 0o750)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return err
	}
	return os.WriteFile(target, nil, 0o640)
}
