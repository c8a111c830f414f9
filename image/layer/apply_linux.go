package layer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// unpacker is the state of one Apply.
type unpacker struct {
	dirs   *dirCache
	limits Limits
	res    Result
	// implicit maps the inode of a directory that no entry has named yet to its
	// path. Inodes, since a path may lead to it through links.
	implicit map[uint64]string
	times    []dirTime
	buf      []byte
	// uid and gid are what a new file gets by itself, unless a directory's
	// setgid bit says otherwise.
	uid, gid int
	setgid   bool

	unprivileged bool
}

type dirTime struct {
	path string
	ts   [2]unix.Timespec
}

// Apply unpacks the tar stream r into dir, an empty directory that nobody else
// works in, and reads r to its end. Whiteouts become those of overlayfs. After
// an error dir holds a part of the layer.
func Apply(ctx context.Context, dir string, r io.Reader, o Options) (Result, error) {
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return Result{}, fmt.Errorf("open %s: %w", dir, err)
	}
	defer unix.Close(root)
	var st unix.Stat_t
	if err := unix.Fstat(root, &st); err != nil {
		return Result{}, err
	}
	u := &unpacker{
		dirs: newDirCache(root, xattrOpaque(o)), unprivileged: o.Unprivileged, limits: o.Limits.WithDefaults(), implicit: map[uint64]string{},
		buf: make([]byte, 256<<10), uid: unix.Geteuid(), gid: unix.Getegid(),
		setgid: st.Mode&unix.S_ISGID != 0,
	}
	defer u.dirs.close()
	err = u.all(ctx, &bounded{r: r, limits: u.limits})
	for _, p := range u.implicit {
		u.res.Implicit = append(u.res.Implicit, p)
	}
	slices.Sort(u.res.Implicit)
	return u.res, err
}

func (u *unpacker) all(ctx context.Context, r io.Reader) error {
	tr := tar.NewReader(r)
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("read tar: %w", err)
		}
		u.res.Entries++
		if err := u.limits.entries(u.res.Entries); err != nil {
			return err
		}
		if err := u.entry(h, tr); err != nil {
			return entryError(h.Name, err)
		}
	}
	if _, err := io.CopyBuffer(onlyWriter{io.Discard}, r, u.buf); err != nil { // the digests cover it
		return err
	}
	return u.dirTimes()
}

type onlyWriter struct{ io.Writer }

// entry makes one entry of the stream.
func (u *unpacker) entry(h *tar.Header, r io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if err := errors.Join(u.limits.name(h.Name), u.limits.name(h.Linkname)); err != nil {
		return err
	}
	name, err := clean(h.Name)
	if err != nil || name == "." { // the root's attributes are not the layer's to set
		return err
	}
	base := path.Base(name)
	parent, err := u.dirs.open(path.Dir(name), u.madeImplicit)
	if err != nil {
		return fmt.Errorf("parent: %w", err)
	}
	if base == whiteoutOpaque {
		return u.opaque(parent, ".")
	}
	if strings.HasPrefix(base, whiteoutMeta) {
		return nil // bookkeeping of aufs
	}
	if target, ok, err := whiteout(base); ok || err != nil {
		if err != nil {
			return err
		}
		return u.whiteout(parent, target)
	}
	if u.unprivileged && (h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock) {
		u.res.Dropped++
		return nil
	}
	if err := u.create(parent, base, name, h, r); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeLink {
		return nil // the file that it links to has its attributes already
	}
	return u.attributes(parent, base, name, h)
}

// create makes the file and its contents. What has its name already is
// replaced, unless both are directories.
func (u *unpacker) create(parent int, base, name string, h *tar.Header, r io.Reader) error {
	err := u.make(parent, base, h, r)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	isDir := h.Typeflag == tar.TypeDir
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
		return unix.Mkdirat(parent, base, 0o700)
	case tar.TypeSymlink:
		return unix.Symlinkat(h.Linkname, parent, base)
	case tar.TypeLink:
		return u.link(parent, base, h.Linkname)
	case tar.TypeFifo:
		return unix.Mknodat(parent, base, unix.S_IFIFO|0o600, 0)
	case tar.TypeChar, tar.TypeBlock:
		mode := uint32(unix.S_IFCHR)
		if h.Typeflag == tar.TypeBlock {
			mode = unix.S_IFBLK
		}
		return unix.Mknodat(parent, base, mode|0o600, int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))))
	}
	return fmt.Errorf("unknown type %q", h.Typeflag)
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

// whiteout hides name in the layers below. What this layer itself has under the
// name stays: a whiteout does not act on its own layer.
func (u *unpacker) whiteout(parent int, name string) error {
	err := unix.Mknodat(parent, name, unix.S_IFCHR, 0)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return u.opaque(parent, name)
	}
	return nil
}

// opaque hides what the layers below have in a directory.
func (u *unpacker) opaque(parent int, base string) error {
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

// drop says whether err is of what an unprivileged process may not do.
func (u *unpacker) drop(err error) bool {
	if !u.unprivileged || !mayNot(err) {
		return false
	}
	u.res.Dropped++
	return true
}

// mayNot says whether err is of a missing privilege: EINVAL is for owners that
// the user namespace does not map.
func mayNot(err error) bool { return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) }

func isWhiteout(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 }

func procPath(dir int, base string) string { return fmt.Sprintf("/proc/self/fd/%d/%s", dir, base) }

func (u *unpacker) madeImplicit(fd int, p string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return err
	}
	u.implicit[st.Ino] = p
	return nil
}

// dirTimes sets what making a directory's entries has changed since.
func (u *unpacker) dirTimes() error {
	for _, d := range slices.Backward(u.times) {
		parent, err := u.dirs.lookup(path.Dir(d.path))
		if err == nil {
			err = unix.UtimesNanoAt(parent, path.Base(d.path), d.ts[:], unix.AT_SYMLINK_NOFOLLOW)
		}
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) { // replaced later
			return entryError(d.path, err)
		}
	}
	return nil
}

// timespec bounds t to what a filesystem can hold.
func timespec(t time.Time) unix.Timespec {
	if t.Before(time.Unix(0, 0)) {
		t = time.Unix(0, 0)
	}
	if last := time.Unix(1<<34-1, 0); t.After(last) {
		t = last
	}
	ts, err := unix.TimeToTimespec(t)
	if err != nil { // 32-bit systems
		ts, _ = unix.TimeToTimespec(time.Unix(1<<31-1, 0))
	}
	return ts
}
