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
	// path. Inodes, since a path may lead to it through links. Those that hide
	// what the layers below have under their name are not in it.
	implicit map[uint64]string
	times    []dirTime
	buf      []byte
	// uid and gid are what a new file gets by itself, unless a directory's
	// setgid bit says otherwise.
	uid, gid int
	setgid   bool

	unprivileged, lowest bool
}

// dirTime is what a directory gets when all is in it.
type dirTime struct {
	path string
	ts   [2]unix.Timespec
	// acl is its default access control list, "" for none: files that are made in
	// it would inherit that, which their entries do not say.
	acl string
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
		dirs: newDirCache(root, xattrOpaque(o)), unprivileged: o.Unprivileged, lowest: o.Lowest, limits: o.Limits.WithDefaults(), implicit: map[uint64]string{},
		buf: make([]byte, 256<<10), uid: unix.Geteuid(), gid: unix.Getegid(),
		setgid: st.Mode&unix.S_ISGID != 0,
	}
	defer u.dirs.close()
	err = u.all(ctx, &bounded{r: r, limits: u.limits})
	for ino, p := range u.implicit {
		if !u.dirs.removed || u.is(p, ino) {
			u.res.Implicit = append(u.res.Implicit, p)
		}
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
	if err := u.limits.names(h.Name, h.Linkname); err != nil {
		return err
	}
	name, err := clean(h.Name)
	if err != nil {
		return err
	}
	if name == "." { // its attributes are not the layer's to set
		return rootEntry(h)
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
	if err := numbers(h); err != nil {
		return err
	}
	if u.unprivileged && isDevice(h) {
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

// rootEntry refuses what would put something else in the place of the root.
func rootEntry(h *tar.Header) error {
	if h.Typeflag != tar.TypeDir {
		return fmt.Errorf("the root can only be a directory: %w", ErrUnsafe)
	}
	return nil
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

func procPath(dir int, base string) string { return fmt.Sprintf("/proc/self/fd/%d/%s", dir, base) }

// madeImplicit notes a directory that was made since an entry lies in it. If it
// hides what has its name below, there is nothing that it could inherit.
func (u *unpacker) madeImplicit(fd int, p string, hides bool) error {
	if hides {
		u.madeHiding(p)
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH); err != nil {
		return err
	}
	u.implicit[st.Ino] = p
	return nil
}

// madeHiding gives a directory that no layer has an entry for the time 0.
func (u *unpacker) madeHiding(p string) { u.times = append(u.times, dirTime{path: p}) }

// dirTimes sets what making a directory's entries has changed since. Where an
// entry comes twice, the last one holds.
func (u *unpacker) dirTimes() error {
	for _, d := range u.times {
		parent, err := u.dirs.lookup(path.Dir(d.path))
		if err == nil && u.dirs.removed && !isDir(parent, path.Base(d.path)) {
			continue // replaced later
		}
		if err == nil {
			err = u.finish(parent, path.Base(d.path), d)
		}
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) { // removed later
			return entryError(d.path, err)
		}
	}
	return nil
}

func (u *unpacker) finish(parent int, base string, d dirTime) error {
	if d.acl != "" {
		if err := u.setXattr(procPath(parent, base), aclDefault, d.acl, true); err != nil {
			return err
		}
	}
	return unix.UtimesNanoAt(parent, base, d.ts[:], unix.AT_SYMLINK_NOFOLLOW)
}

// is says whether the directory p still is the one with this inode.
func (u *unpacker) is(p string, ino uint64) bool {
	var st unix.Stat_t
	parent, err := u.dirs.lookup(path.Dir(p))
	if err == nil {
		err = unix.Fstatat(parent, path.Base(p), &st, unix.AT_SYMLINK_NOFOLLOW)
	}
	return err == nil && st.Ino == ino
}

func isDir(parent int, base string) bool {
	var st unix.Stat_t
	err := unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
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
