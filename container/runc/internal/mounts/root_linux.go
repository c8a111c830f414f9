package mounts

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// root is a container's root directory. What lies in it is not to be trusted:
// all paths are resolved within it.
type root struct {
	fd   int
	path string
	id   unix.Stat_t
}

func openRoot(dir string) (root, error) {
	r := root{path: dir}
	var err error
	if r.fd, err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return r, &os.PathError{Op: "open rootfs", Path: dir, Err: err}
	}
	return r, unix.Fstat(r.fd, &r.id)
}

// open opens a path in the container. There is nobody yet who could change it
// meanwhile, but who shares a volume.
func (r root) open(at string, resolve uint64) (fd int, err error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | resolve}
	for range 100 { // EAGAIN: something was renamed meanwhile
		if fd, err = unix.Openat2(r.fd, at, &how); !errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	return fd, err
}

// target opens what is to be mounted on, made if it is not there: a file for
// kind file, else a directory. Neither the root nor anything in /proc will do.
func (r root) target(at, kind string) (int, error) {
	if kind == "proc" || kind == "sysfs" { // on nothing but its own place
		fd, err := r.openOrMake(at, kind, unix.RESOLVE_NO_SYMLINKS)
		if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
			return -1, fmt.Errorf("filesystem %q must be mounted on ordinary directory", kind)
		}
		return fd, err
	}
	fd, err := r.openOrMake(at, kind, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	var fs unix.Statfs_t
	err = errors.Join(unix.Fstat(fd, &st), unix.Fstatfs(fd, &fs))
	switch {
	case err != nil:
	case fs.Type == unix.PROC_SUPER_MAGIC:
		err = fmt.Errorf("%q cannot be mounted because it is inside /proc", path.Join(r.path, at))
	case st.Dev == r.id.Dev && st.Ino == r.id.Ino:
		err = fmt.Errorf("mountpoint %q is on the top of rootfs %q", at, r.path)
	default:
		return fd, nil
	}
	unix.Close(fd)
	return -1, err
}

func (r root) openOrMake(at, kind string, resolve uint64) (int, error) {
	fd, err := r.open(at, resolve)
	if !errors.Is(err, unix.ENOENT) {
		return fd, pathError("open", at, err)
	}
	if err := r.make(at, kind); err != nil {
		return -1, pathError("make mountpoint", at, err)
	}
	fd, err = r.open(at, resolve)
	return fd, pathError("open", at, err)
}

// make makes a file or a directory, and the directories above it.
func (r root) make(at, kind string) error {
	parent, err := r.open(path.Dir(at), 0)
	if errors.Is(err, unix.ENOENT) {
		if err := r.make(path.Dir(at), "directory"); err != nil {
			return err
		}
		parent, err = r.open(path.Dir(at), 0)
	}
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	if kind != "file" {
		return unix.Mkdirat(parent, path.Base(at), 0o755)
	}
	fd, err := unix.Openat(parent, path.Base(at), unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func pathError(op, at string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: at, Err: err}
}

func (r root) symlink(text, at string) error {
	parent, err := r.open(path.Dir(at), 0)
	if err != nil {
		return pathError("open", path.Dir(at), err)
	}
	defer unix.Close(parent)
	return pathError("symlink", at, unix.Symlinkat(text, parent, path.Base(at)))
}

// devices makes nodes in /dev, a new tmpfs.
func (r root) devices(all []Device) error {
	if len(all) == 0 {
		return nil
	}
	dev, err := r.open("/dev", unix.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return pathError("open", "/dev", err)
	}
	defer unix.Close(dev)
	unix.Umask(0)
	defer unix.Umask(0o022)
	for _, d := range all {
		err := unix.Mknodat(dev, d.Name, d.Mode, d.Dev)
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err == nil {
			err = unix.Fchownat(dev, d.Name, d.UID, d.GID, unix.AT_SYMLINK_NOFOLLOW)
		}
		if err != nil {
			return pathError("make device", "/dev/"+d.Name, err)
		}
	}
	return nil
}
