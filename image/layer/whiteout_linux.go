package layer

import (
	"errors"

	"golang.org/x/sys/unix"
)

// whiteout hides name in the layers below. What this layer itself has under the
// name stays: a whiteout does not act on its own layer.
func (u *unpacker) whiteout(parent int, name string) error {
	if u.lowest {
		return nil
	}
	err := unix.Mknodat(parent, name, unix.S_IFCHR, 0)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	if p, ok := u.implicit[st.Ino]; ok {
		delete(u.implicit, st.Ino)
		u.madeHiding(p)
	}
	return u.opaque(parent, name)
}

// opaque hides what the layers below have in a directory.
func (u *unpacker) opaque(parent int, base string) error {
	if u.lowest {
		return nil
	}
	return unix.Lsetxattr(procPath(parent, base), u.dirs.opaque, []byte("y"), 0)
}

// The attributes by which overlayfs knows an opaque directory, the second one
// when it is mounted with userxattr.
const (
	trustedOpaque = "trusted.overlay.opaque"
	userOpaque    = "user.overlay.opaque"
)

func xattrOpaque(o Options) string {
	if o.Unprivileged {
		return userOpaque
	}
	return trustedOpaque
}

func isWhiteout(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 }
