package layer

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Inherit gives the directories of dir named in implicit the owner, mode,
// extended attributes and times that they have in the layers below it; lowers
// lists those, the highest first. A directory that no lower layer has keeps
// what it has: root's, 0755.
func Inherit(dir string, implicit, lowers []string) error {
	if len(implicit) == 0 || len(lowers) == 0 {
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
		if err := inherit(root, p, fds); err != nil {
			return fmt.Errorf("directory %q: %w", p, err)
		}
	}
	return nil
}

func inherit(root int, p string, lowers []int) error {
	dst, err := openat2(root, p, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil // replaced by a later entry
	} else if err != nil {
		return err
	}
	defer unix.Close(dst)
	if v := make([]byte, 1); isOpaque(dst, v) {
		return nil
	}
	for _, l := range lowers {
		src, err := openat2(l, p, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, inRoot)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			return nil // hidden by a file or a whiteout
		}
		if err != nil {
			return err
		}
		return errors.Join(copyAttributes(dst, src), unix.Close(src))
	}
	return nil
}

func isOpaque(fd int, buf []byte) bool {
	n, err := unix.Fgetxattr(fd, xattrOpaque, buf)
	return err == nil && n == 1 && buf[0] == 'y'
}

// Opaque says whether dir hides everything that lies below it. Overlayfs does
// not look at that of a layer's root, so whoever mounts has to.
func Opaque(dir string) bool {
	buf := make([]byte, 1)
	n, err := unix.Lgetxattr(dir, xattrOpaque, buf)
	return err == nil && n == 1 && buf[0] == 'y'
}

func copyAttributes(dst, src int) error {
	var st unix.Stat_t
	if err := unix.Fstat(src, &st); err != nil {
		return err
	}
	if err := unix.Fchown(dst, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := unix.Fchmod(dst, st.Mode&0o7777); err != nil {
		return err
	}
	if err := copyXattrs(dst, src); err != nil {
		return err
	}
	ts := []unix.Timespec{st.Atim, st.Mtim}
	return unix.UtimesNanoAt(dst, ".", ts, 0)
}

func copyXattrs(dst, src int) error {
	names := make([]byte, 64<<10)
	n, err := unix.Flistxattr(src, names)
	if err != nil {
		if errors.Is(err, unix.ENOTSUP) {
			return nil
		}
		return err
	}
	value := make([]byte, 64<<10)
	for name := range strings.SplitSeq(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		if name == "" || strings.HasPrefix(name, "trusted.") {
			continue
		}
		k, err := unix.Fgetxattr(src, name, value)
		if err == nil {
			err = unix.Fsetxattr(dst, name, value[:k], 0)
		}
		if err != nil && !errors.Is(err, unix.ENOTSUP) {
			return err
		}
	}
	return nil
}
