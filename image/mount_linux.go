package image

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lifepod/lifepod/internal/sys"
	"golang.org/x/sys/unix"
)

var (
	effectMount   = sys.NewEffect("image/mount")
	effectUnmount = sys.NewEffect("image/unmount")
)

// MountAll mounts what Prepare or View returned on target, a directory. Mounts
// after the first lie at their Target below it. Any number of layers can be
// mounted, as their names are handed over one by one; on older kernels, which take
// them in one page of options, at least 200.
// After an error nothing is mounted.
func MountAll(mounts []Mount, target string) error {
	for i, m := range mounts {
		at := target
		if m.Target != "" {
			at = strings.TrimRight(target, "/") + "/" + strings.Trim(m.Target, "/")
		}
		if err := effectMount.Do(func() error { return mountOne(m, at) }); err != nil {
			err = fmt.Errorf("mount %s on %s: %w", m.Type, at, err)
			for range i {
				err = errors.Join(err, Unmount(target))
			}
			return err
		}
	}
	return nil
}

// Unmount takes the mount on target away, and what is mounted below it. A
// target that is no mount point, or not there, is not an error. Files that are
// open keep what they need until they are closed.
func Unmount(target string) error {
	err := effectUnmount.Do(func() error { return unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) })
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", target, err)
	}
	return nil
}

func mountOne(m Mount, at string) error {
	if m.Type == "bind" {
		return bind(m, at)
	}
	mnt, err := newFilesystem(m)
	if err != nil {
		return err
	}
	defer unix.Close(mnt)
	return attach(mnt, at)
}

func attach(mnt int, at string) error {
	return unix.MoveMount(mnt, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// newFilesystem makes a mount that is not attached anywhere: it goes with its
// descriptor.
func newFilesystem(m Mount) (mnt int, err error) {
	old := m.Type == "overlay" && !takesOneByOne()
	if !m.mapped() && !old {
		return configured(m)
	}
	err = inOwnNamespace(func() (err error) {
		if m.mapped() {
			if err = enterMaps(m); err != nil {
				return err
			}
		}
		if old {
			mnt, err = inOnePage(m)
			return err
		}
		mnt, err = configured(m)
		return err
	})
	if err != nil {
		return -1, err
	}
	return mnt, nil
}

// configured makes a filesystem by the mount API.
func configured(m Mount) (mnt int, err error) {
	fd, err := unix.Fsopen(m.Type, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("open filesystem: %w", err)
	}
	defer unix.Close(fd)
	var names shortNames
	defer names.close()
	attrs, err := configure(fd, m, &names)
	if err == nil {
		err = unix.FsconfigCreate(fd)
	}
	if err != nil {
		return -1, explain(fd, err)
	}
	if mnt, err = unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, attrs); err != nil {
		return -1, explain(fd, err)
	}
	return mnt, nil
}

// configure hands the options over and returns the attributes of the mount.
func configure(fd int, m Mount, names *shortNames) (attrs int, err error) {
	if err := unix.FsconfigSetString(fd, "source", m.Source); err != nil {
		return 0, fmt.Errorf("source: %w", err)
	}
	for _, o := range m.Options {
		key, value, hasValue := strings.Cut(o, "=")
		switch {
		case isLayers(key):
			err = setLayers(fd, key, value, names)
		case o == "ro":
			attrs |= unix.MOUNT_ATTR_RDONLY
		case o == "rw":
		case hasValue:
			err = unix.FsconfigSetString(fd, key, value)
		default:
			err = unix.FsconfigSetFlag(fd, key)
		}
		if err != nil {
			return 0, fmt.Errorf("option %s: %w", key, err)
		}
	}
	return attrs, nil
}

// isLayers says whether a mount option has directories of overlayfs.
func isLayers(key string) bool { return key == "lowerdir" || key == "upperdir" || key == "workdir" }

// setLayers hands directories over, lower ones one by one.
func setLayers(fd int, key, value string, names *shortNames) error {
	if key == "lowerdir" {
		key = "lowerdir+"
	}
	for _, dir := range splitLowers(value) {
		name := escapeFor(key, dir)
		if len(name) > maxParameter {
			var err error
			if name, err = names.of(dir); err != nil {
				return err
			}
		}
		if err := unix.FsconfigSetString(fd, key, name); err != nil {
			return fmt.Errorf("layer %s: %w", dir, err)
		}
	}
	return nil
}

// escapeFor writes a directory as overlayfs takes it one by one: it unescapes all
// but lower ones.
func escapeFor(key, dir string) string {
	if key == "lowerdir+" {
		return dir
	}
	return escape(dir)
}

func bind(m Mount, at string) error {
	mnt, err := clone(m)
	if err != nil {
		return err
	}
	defer unix.Close(mnt)
	return attach(mnt, at)
}

// clone makes a bind mount that is not attached anywhere.
func clone(m Mount) (mnt int, err error) {
	var attr unix.MountAttr
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	for _, o := range m.Options {
		switch o {
		case "ro":
			attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
		case "rbind":
			flags |= unix.AT_RECURSIVE
		}
	}
	if m.mapped() {
		ns, err := userNamespace(m.UIDs, m.GIDs)
		if err != nil {
			return -1, err
		}
		defer ns.Close()
		return cloneMapped(m.Source, flags, attr, ns)
	}
	return cloneWith(m.Source, flags, attr)
}

func cloneWith(dir string, flags uint, attr unix.MountAttr) (mnt int, err error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, dir, flags)
	if err != nil {
		return -1, err
	}
	if attr.Attr_set != 0 {
		if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|flags&unix.AT_RECURSIVE, &attr); err != nil {
			return -1, errors.Join(err, unix.Close(fd))
		}
	}
	return fd, nil
}

// explain adds what the kernel says about a filesystem that it refused.
func explain(fd int, err error) error {
	buf := make([]byte, 4096)
	var said []string
	for {
		n, rerr := unix.Read(fd, buf)
		if rerr != nil || n <= 0 {
			break
		}
		said = append(said, strings.TrimSpace(string(buf[:n])))
	}
	if len(said) == 0 {
		return err
	}
	return fmt.Errorf("%w (the kernel says: %s)", err, strings.Join(said, "; "))
}
