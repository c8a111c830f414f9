package layer

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"
)

// Inherit gives the directories of dir named in implicit the owner, mode,
// extended attributes and times that they have in the layers below it; lowers
// lists those, the highest first. A directory that no lower layer has keeps
// what it has, root's and 0755, and gets the time 0: unpacked twice, a layer is
// the same.
func Inherit(dir string, implicit, lowers []string, o Options) error {
	if len(implicit) == 0 {
		return nil
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	defer unix.Close(root)
	var fds []int
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	for _, l := range lowers {
		fd, err := unix.Open(l, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open %s: %w", l, err)
		}
		fds = append(fds, fd)
	}
	for _, p := range implicit {
		if err := inherit(root, p, fds, o); err != nil {
			return fmt.Errorf("directory %q: %w", p, err)
		}
	}
	return nil
}

func inherit(root int, p string, lowers []int, o Options) error {
	dst, err := openat2(root, p, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil // replaced by a later entry
	} else if err != nil {
		return err
	}
	defer unix.Close(dst)
	if hiding(root, p) {
		lowers = nil
	}
	for _, l := range lowers {
		src, err := openat2(l, p, unix.O_RDONLY|unix.O_DIRECTORY, inRoot)
		if errors.Is(err, unix.ENOENT) && !hiding(l, p) {
			continue
		}
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			break // hidden by an opaque directory, a file or a whiteout
		}
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err = unix.Fstat(src, &st); err == nil {
			err = copyAttributes(dst, src, ".", &st, o)
		}
		return errors.Join(err, unix.Close(src))
	}
	return unix.UtimesNanoAt(dst, ".", make([]unix.Timespec, 2), 0)
}

// hiding says whether a layer hides what those below it have under p: a
// directory above p is opaque. If p itself is, that is of what lies in it.
func hiding(root int, p string) bool {
	for p != "." {
		p = path.Dir(p)
		fd, err := openat2(root, p, unix.O_PATH|unix.O_DIRECTORY, inRoot)
		if err != nil {
			continue
		}
		opaque := Opaque(procPath(fd, "."))
		_ = unix.Close(fd)
		if opaque {
			return true
		}
	}
	return false
}

// Opaque says whether dir hides everything that lies below it. Overlayfs does
// not look at that of a layer's root, so whoever mounts has to.
func Opaque(dir string) bool {
	buf := make([]byte, 1)
	for _, name := range []string{trustedOpaque, userOpaque} {
		if n, err := unix.Lgetxattr(dir, name, buf); err == nil && n == 1 && buf[0] == 'y' {
			return true
		}
	}
	return false
}

// copyAttributes gives name in the directory dst owner, mode, extended
// attributes and times, in this order, of name in src: each of the first two
// would take from the next.
func copyAttributes(dst, src int, name string, st *unix.Stat_t, o Options) error {
	err := unix.Fchownat(dst, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW)
	if err != nil && !(o.Unprivileged && mayNot(err)) {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Fchmodat(dst, name, st.Mode&0o7777, 0); err != nil {
			return err
		}
	}
	x, err := readXattrs(procPath(src, name))
	if err == nil {
		err = writeXattrs(procPath(dst, name), x, o)
	}
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(dst, name, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// writeXattrs sets extended attributes, but for those that are of this layer
// alone, and those that the file cannot have.
func writeXattrs(p string, all map[string]string, o Options) error {
	for name, value := range all {
		if steers(name) {
			continue
		}
		err := unix.Lsetxattr(p, name, []byte(value), 0)
		if err != nil && !errors.Is(err, unix.ENOTSUP) && !(o.Unprivileged && mayNot(err)) {
			return entryError("attribute "+name, err)
		}
	}
	return nil
}
