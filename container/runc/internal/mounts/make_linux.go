package mounts

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"
)

// make makes everything, in a new mount namespace. Libcontainer binds the root
// with all that is mounted in it to itself later.
func (p *Plan) make() error {
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("keep mounts from the host: %w", err)
	}
	old := unix.Umask(0o022)
	defer unix.Umask(old)
	root, err := openRoot(p.Rootfs)
	if err != nil {
		return err
	}
	defer unix.Close(root.fd)
	for _, m := range p.Mounts {
		if err := root.mount(m); err != nil {
			return fmt.Errorf("error mounting %q to rootfs at %q: %w", m.Source, m.Target, err)
		}
	}
	if err := root.devices(p.Devices); err != nil {
		return err
	}
	for _, at := range p.ReadOnly {
		if err := root.readOnly(at); err != nil {
			return fmt.Errorf("can't make %q read-only: %w", at, err)
		}
	}
	return root.mask(p.Masked)
}

func (r root) mount(m Mount) error {
	switch m.Type {
	case "bind":
		return r.bind(m)
	case "cgroup":
		return r.cgroups(m)
	}
	at, err := r.target(m.Target, m.Type)
	if err != nil {
		return err
	}
	defer unix.Close(at)
	if m.Type == "tmpfs" { // it keeps the mode of what it covers
		var st unix.Stat_t
		if err := unix.Fstat(at, &st); err != nil {
			return err
		}
		m.Options = append([]string{fmt.Sprintf("mode=%04o", st.Mode&0o7777)}, m.Options...)
	}
	fd, err := newFilesystem(m)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return attach(fd, at, m.Propagation)
}

// newFilesystem mounts a filesystem nowhere yet.
func newFilesystem(m Mount) (int, error) {
	fs, err := unix.Fsopen(m.Type, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigSetString(fs, "source", m.Source); err != nil {
		return -1, err
	}
	if m.Attr&unix.MOUNT_ATTR_RDONLY != 0 {
		m.Options = append(m.Options, "ro")
	}
	for _, o := range m.Options {
		key, value, ok := strings.Cut(o, "=")
		if ok {
			err = unix.FsconfigSetString(fs, key, value)
		} else {
			err = unix.FsconfigSetFlag(fs, key)
		}
		if err != nil {
			return -1, fmt.Errorf("option %q: %w", o, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, int(m.Attr))
}

// attach gives a mount its place.
func attach(fd, at int, changes []Propagation) error {
	for _, c := range changes {
		if err := setattr(fd, unix.MountAttr{Propagation: c.Flag}, c.Recursive); err != nil {
			return fmt.Errorf("change the propagation: %w", err)
		}
	}
	return unix.MoveMount(fd, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

func setattr(fd int, a unix.MountAttr, recursive bool) error {
	flags := uint(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	return unix.MountSetattr(fd, "", flags, &a)
}

func (r root) bind(m Mount) error {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if m.Recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, m.Source, flags)
	if err != nil {
		return &os.PathError{Op: "open_tree", Path: m.Source, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	kind := m.Type
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		kind = "file"
	}
	at, err := r.target(m.Target, kind)
	if err != nil {
		return err
	}
	defer unix.Close(at)
	if m.Change {
		if err := setattr(fd, change(m.Attr), false); err != nil {
			return fmt.Errorf("failed to set user-requested vfs flags on bind-mount: %w", err)
		}
	}
	return attach(fd, at, m.Propagation)
}

// change replaces the attributes of a mount, that of access times only by another.
func change(attr uint64) unix.MountAttr {
	clear := uint64(unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC | unix.MOUNT_ATTR_NOSYMFOLLOW)
	if attr&unix.MOUNT_ATTR__ATIME != 0 {
		clear |= unix.MOUNT_ATTR__ATIME
	}
	return unix.MountAttr{Attr_set: attr, Attr_clr: clear &^ (attr &^ unix.MOUNT_ATTR__ATIME)}
}

// cgroups binds the container's own cgroup of each v1 hierarchy.
func (r root) cgroups(m Mount) error {
	own, err := cgroups.ParseCgroupFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	const attr = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC
	if err := r.mount(Mount{Type: "tmpfs", Source: "tmpfs", Target: m.Target, Options: []string{"mode=755"}, Attr: attr, Propagation: m.Propagation}); err != nil {
		return err
	}
	for _, h := range m.Cgroups {
		dir, err := h.GetOwnCgroup(own)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(h.Root, dir)
		if err != nil {
			return err
		}
		name := path.Base(h.Mountpoint)
		if err := r.bind(Mount{
			Type: "bind", Source: path.Join(h.Mountpoint, below), Target: path.Join(m.Target, name),
			Attr: m.Attr, Change: true, Recursive: true, Propagation: m.Propagation,
		}); err != nil {
			return err
		}
		for alias := range strings.SplitSeq(name, ",") {
			if alias == name {
				break
			}
			if err := r.symlink(name, path.Join(m.Target, alias)); err != nil && !errors.Is(err, unix.EEXIST) {
				return err
			}
		}
	}
	return nil
}
