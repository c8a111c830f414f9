package mounts

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// readOnly binds a path to itself, read-only. One that is not there stays so.
func (r root) readOnly(at string) error {
	here, err := r.open(at, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(here)
	tree, err := unix.OpenTree(here, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE|unix.AT_EMPTY_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	if err := setattr(tree, unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}, false); err != nil {
		return err
	}
	return attach(tree, here, nil)
}

// mask covers directories with an empty one and all else with /dev/null. Paths
// that are not there stay so.
func (r root) mask(paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	null, err := r.null()
	if err != nil {
		return fmt.Errorf("can't mask paths: %w", err)
	}
	defer unix.Close(null)
	m := masker{root: r, null: null, dir: -1, done: map[string]bool{}}
	defer func() { unix.Close(m.dir) }()
	for _, at := range paths {
		if m.done[at] {
			continue
		}
		m.done[at] = true
		if err := m.mask(at); err != nil {
			return fmt.Errorf("can't mask path %q: %w", at, err)
		}
	}
	return nil
}

// null opens the container's own /dev/null.
func (r root) null() (int, error) {
	fd, err := r.open("/dev/null", unix.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(1, 3) {
		unix.Close(fd)
		return -1, errors.Join(errors.New("container's /dev/null is invalid"), err)
	}
	return fd, nil
}

type masker struct {
	root
	null int
	dir  int // the first empty directory, -1 before it
	done map[string]bool
}

func (m *masker) mask(at string) error {
	here, err := m.open(at, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(here)
	var st unix.Stat_t
	if err := unix.Fstat(here, &st); err != nil {
		return err
	}
	from := m.null
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if m.dir < 0 {
			if m.dir, err = empty(); err != nil {
				return err
			}
			return attach(m.dir, here, nil)
		}
		from = m.dir
	}
	tree, err := unix.OpenTree(from, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	return attach(tree, here, nil)
}

// empty makes the smallest filesystem; some kernels need two inodes for it.
func empty() (fd int, err error) {
	for _, inodes := range []string{"nr_inodes=1", "nr_inodes=2"} {
		fd, err = newFilesystem(Mount{Type: "tmpfs", Source: "tmpfs", Options: []string{"nr_blocks=1", inodes}, Attr: unix.MOUNT_ATTR_RDONLY})
		if err == nil {
			break
		}
	}
	return fd, err
}
