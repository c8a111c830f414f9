package layer

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// inRoot makes the kernel resolve a path as if the layer's directory were the
// root: "..", absolute links and links to links stay below it.
const inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS

// dirCache keeps the directories that were used last open: entries of a layer
// come directory by directory.
type dirCache struct {
	root  int
	fds   map[string]int
	order []string // by last use
	stale int      // forgotten while in use, or -1
	// opaque is the attribute of directories that hide what is below them.
	opaque string
	// removed says that something was, and another thing may have its name.
	removed bool
}

const dirCacheSize = 32

func newDirCache(root int, opaque string) *dirCache {
	return &dirCache{root: root, fds: map[string]int{}, stale: -1, opaque: opaque}
}

func (c *dirCache) close() {
	c.forget(-1)
	c.forget(-1)
}

// lookup returns a descriptor of the directory p. It stays open for the next
// few calls.
func (c *dirCache) lookup(p string) (int, error) {
	if p == "." {
		return c.root, nil
	}
	if fd, ok := c.fds[p]; ok {
		if last := len(c.order) - 1; c.order[last] != p {
			i := slices.Index(c.order, p)
			c.order = append(slices.Delete(c.order, i, i+1), p)
		}
		return fd, nil
	}
	fd, err := openat2(c.root, p, unix.O_PATH|unix.O_DIRECTORY, inRoot)
	if err != nil {
		return -1, err
	}
	c.keep(p, fd)
	return fd, nil
}

func (c *dirCache) keep(p string, fd int) {
	if len(c.order) >= dirCacheSize {
		_ = unix.Close(c.fds[c.order[0]])
		delete(c.fds, c.order[0])
		c.order = slices.Delete(c.order, 0, 1)
	}
	c.fds[p] = fd
	c.order = append(c.order, p)
}

// onMade is called with each directory that was made on the way to another;
// hides says that it took the place of a whiteout.
type onMade func(fd int, path string, hides bool) error

// open is lookup, but makes what is missing.
func (c *dirCache) open(p string, made onMade) (int, error) {
	fd, err := c.lookup(p)
	if err == nil {
		return fd, nil
	}
	if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
		return -1, err
	}
	real, err := c.resolve(p)
	if err != nil {
		return -1, err
	}
	if fd, err = c.mkdirAll(real, made); err != nil {
		return -1, err
	}
	if p == real || fd == c.root {
		return fd, nil
	}
	return c.lookup(p)
}

// mkdirAll makes the directories of p, which holds no link.
func (c *dirCache) mkdirAll(p string, made onMade) (int, error) {
	parent, at := c.root, ""
	for name := range strings.SplitSeq(p, "/") {
		at = path.Join(at, name)
		fd, err := c.lookup(at)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			fd, err = c.mkdir(parent, at, made)
		}
		if err != nil {
			return -1, fmt.Errorf("directory %q: %w", at, err)
		}
		parent = fd
	}
	return parent, nil
}

func (c *dirCache) mkdir(parent int, p string, made onMade) (int, error) {
	base := path.Base(p)
	err := unix.Mkdirat(parent, base, 0o755)
	hidden := false
	if errors.Is(err, unix.EEXIST) {
		var st unix.Stat_t
		if err := unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return -1, err
		}
		if hidden = isWhiteout(&st); !hidden {
			return -1, unix.ENOTDIR
		}
		if err = unix.Unlinkat(parent, base, 0); err == nil {
			err = unix.Mkdirat(parent, base, 0o755)
		}
	}
	if err != nil {
		return -1, err
	}
	if err := unix.Fchmodat(parent, base, 0o755, 0); err != nil { // whatever the umask
		return -1, err
	}
	fd, err := openat2(parent, base, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, unix.RESOLVE_BENEATH)
	if err != nil {
		return -1, err
	}
	c.keep(p, fd)
	if hidden {
		if err := unix.Lsetxattr(procPath(fd, "."), c.opaque, []byte("y"), 0); err != nil {
			return -1, err
		}
	}
	return fd, made(fd, p, hidden)
}

// resolve follows the links in p, as if the layer were the root, also where
// they lead to what does not exist in this layer.
func (c *dirCache) resolve(p string) (string, error) {
	rest, at, links := strings.Split(p, "/"), "", 0
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = strings.TrimPrefix(path.Dir("/"+at), "/")
			continue
		}
		next := path.Join(at, name)
		target, err := readlink(c.root, next)
		if err != nil { // no link, or not there
			at = next
			continue
		}
		if links++; links > 40 {
			return "", unix.ELOOP
		}
		if path.IsAbs(target) {
			at = ""
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return cmp.Or(at, "."), nil
}

// remove removes a name with all below it.
func (c *dirCache) remove(parent int, base string) error {
	err := unix.Unlinkat(parent, base, 0)
	if errors.Is(err, unix.EISDIR) {
		r, oerr := os.OpenRoot(procPath(parent, "."))
		if oerr != nil {
			return oerr
		}
		defer r.Close()
		err = r.RemoveAll(base)
	}
	if err != nil {
		return err
	}
	c.removed = true
	c.forget(parent)
	return nil
}

// forget drops all directories: a removed directory or link may lie on the
// path of any. The descriptor keep stays open until the next forget.
func (c *dirCache) forget(keep int) {
	if c.stale >= 0 && c.stale != keep {
		_ = unix.Close(c.stale)
		c.stale = -1
	}
	for _, fd := range c.fds {
		if fd == keep {
			c.stale = fd
			continue
		}
		_ = unix.Close(fd)
	}
	clear(c.fds)
	c.order = c.order[:0]
}

func openat2(dir int, p string, flags, resolve uint64) (int, error) {
	for {
		fd, err := unix.Openat2(dir, p, &unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: resolve})
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return fd, err
		}
	}
}

func readlink(root int, p string) (string, error) {
	fd, err := openat2(root, p, unix.O_PATH|unix.O_NOFOLLOW, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
