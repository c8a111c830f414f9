package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"math"
	"path"

	"golang.org/x/sys/unix"
)

// create makes the file and its contents. What has its name already is
// replaced, unless both are directories.
func (u *unpacker) create(parent int, base, name string, h *tar.Header, r io.Reader) error {
	isDir := h.Typeflag == tar.TypeDir
	err := u.make(parent, base, h, r)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if isDir && st.Mode&unix.S_IFMT == unix.S_IFDIR {
		delete(u.implicit, st.Ino)
		return nil
	}
	if err := u.dirs.remove(parent, base); err != nil {
		return err
	}
	if err := u.make(parent, base, h, r); err != nil || !isDir || !isWhiteout(&st) {
		return err
	}
	return u.opaque(parent, base)
}

func (u *unpacker) make(parent int, base string, h *tar.Header, r io.Reader) error {
	if regular(h) {
		return u.file(parent, base, h, r)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.mkdir(parent, base)
	case tar.TypeSymlink:
		return unix.Symlinkat(h.Linkname, parent, base)
	case tar.TypeLink:
		return u.link(parent, base, h.Linkname)
	case tar.TypeFifo:
		return unix.Mknodat(parent, base, unix.S_IFIFO|0o600, 0)
	case tar.TypeChar, tar.TypeBlock:
		return device(parent, base, h)
	}
	return fmt.Errorf("unknown type %q", h.Typeflag)
}

// mkdir makes a directory that has an entry. It may have the inode of one that
// had none and was removed.
func (u *unpacker) mkdir(parent int, base string) error {
	err := unix.Mkdirat(parent, base, 0o700)
	if err == nil && u.dirs.removed {
		var st unix.Stat_t
		if err = unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil {
			delete(u.implicit, st.Ino)
		}
	}
	return err
}

// The bits that Linux has for a device's numbers: it cuts off what is above.
const (
	maxMajor = 1<<12 - 1
	maxMinor = 1<<20 - 1
)

// numbers refuses owners and devices that the kernel would cut to others, or, for
// owners, take for "leave it as it is".
func numbers(h *tar.Header) error {
	for _, id := range []int{h.Uid, h.Gid} {
		if id < 0 || uint64(id) >= math.MaxUint32 {
			return fmt.Errorf("owner %d:%d, ids go from 0 to %d: %w", h.Uid, h.Gid, uint32(math.MaxUint32-1), ErrInvalid)
		}
	}
	if isDevice(h) && (h.Devmajor < 0 || h.Devmajor > maxMajor || h.Devminor < 0 || h.Devminor > maxMinor) {
		return fmt.Errorf("device %d:%d, Linux has none above %d:%d: %w", h.Devmajor, h.Devminor, maxMajor, maxMinor, ErrInvalid)
	}
	return nil
}

func isDevice(h *tar.Header) bool { return h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock }

func device(parent int, base string, h *tar.Header) error {
	mode := uint32(unix.S_IFCHR)
	if h.Typeflag == tar.TypeBlock {
		mode = unix.S_IFBLK
	}
	return unix.Mknodat(parent, base, mode|0o600, int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))))
}

func (u *unpacker) link(parent int, base, linkname string) error {
	target, err := clean(linkname)
	if err != nil {
		return fmt.Errorf("hard link to %q: %w", linkname, err)
	}
	dir, err := u.dirs.lookup(path.Dir(target))
	if err == nil {
		err = unix.Linkat(dir, path.Base(target), parent, base, 0)
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return fmt.Errorf("hard link to %q, which is not in this layer", linkname)
	}
	return err
}
