package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/internal/sys"
)

var (
	effectMount   = sys.NewEffect("volume/mount")
	effectUnmount = sys.NewEffect("volume/unmount")
)

// withoutNoswap is set once a kernel (before 6.4) was seen not to know noswap.
var withoutNoswap atomic.Bool

// mountTmpfs mounts memory at path, at most size bytes (0: the kernel's
// default), unless something is mounted there already.
func mountTmpfs(path string, size int64) error {
	if there, err := isMounted(path); there || err != nil {
		return err
	}
	var options []string
	if size > 0 {
		options = append(options, fmt.Sprintf("size=%d", size))
	}
	mount := func(options ...string) error {
		return unix.Mount("tmpfs", path, "tmpfs", 0, strings.Join(options, ","))
	}
	err := effectMount.Do(func() error {
		if withoutNoswap.Load() {
			return mount(options...)
		}
		err := mount(append(slices.Clone(options), "noswap")...)
		if !errors.Is(err, unix.EINVAL) {
			return err
		}
		if err = mount(options...); err == nil {
			withoutNoswap.Store(true)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("mount tmpfs at %s: %w", path, err)
	}
	return nil
}

// isMounted says whether path is a mount point; an absent path is none.
func isMounted(path string) (bool, error) {
	there, err := mountinfo.Mounted(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return there, err
}

func unmount(path string, flags int) error {
	err := effectUnmount.Do(func() error { return unix.Unmount(path, flags|unix.UMOUNT_NOFOLLOW) })
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil // it is none (any more)
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	return nil
}

// unmountBelow unmounts path and everything below it, the last mounted first.
func unmountBelow(path string) error {
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(filepath.Join(parent, filepath.Base(path))))
	if err != nil {
		return fmt.Errorf("read the mount table: %w", err)
	}
	for _, m := range slices.Backward(mounts) {
		if err := unmount(m.Mountpoint, 0); err != nil {
			return err
		}
	}
	return nil
}

// clean takes a directory of ours away: what is mounted on it and below it,
// then all that lies in it. An absent one is fine.
func clean(path string) error {
	there, err := isMounted(path)
	if err != nil {
		return err
	}
	if there {
		if err := unmount(path, 0); err != nil {
			return err
		}
	}
	err = removeTree(path)
	if !errors.Is(err, errMounted) {
		return err
	}
	// Rare enough to read the table of all mounts only now.
	if err := unmountBelow(path); err != nil {
		return err
	}
	return removeTree(path)
}

// sameFile says whether two open or named files are one.
func sameFile(f *os.File, path string) (bool, error) {
	a, err := f.Stat()
	if err != nil {
		return false, err
	}
	b, err := os.Lstat(path)
	if err != nil {
		return false, err
	}
	return os.SameFile(a, b), nil
}
