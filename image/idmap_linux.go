package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/internal/sys"
)

func (m Mount) mapped() bool { return len(m.UIDs)+len(m.GIDs) > 0 }

// enterMaps makes this thread ready to mount an overlayfs with mapped ids. It is in
// a mount namespace of its own, and is thrown away.
func enterMaps(m Mount) error {
	ns, err := userNamespace(m.UIDs, m.GIDs)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := mapLayers(m, ns); err != nil {
		return err
	}
	return becomeRoot(rootOf(m.UIDs), rootOf(m.GIDs))
}

// mapLayers mounts each directory of an overlayfs over itself, with mapped ids:
// overlayfs cannot be mapped as a whole.
func mapLayers(m Mount, ns *os.File) error {
	for _, o := range m.Options {
		key, value, _ := strings.Cut(o, "=")
		if key != "lowerdir" && key != "upperdir" {
			continue
		}
		for _, dir := range splitLowers(value) {
			if key == "upperdir" {
				dir = filepath.Dir(dir) // workdir lies there, too, and has to be on the same mount
			}
			if err := mapDir(dir, ns); err != nil {
				return err
			}
		}
	}
	return nil
}

// becomeRoot makes this thread the root of the namespace where files are concerned,
// with all its privileges: overlayfs works as whoever mounted it, and the
// machine's root is nobody on a mapped mount.
func becomeRoot(uid, gid int) error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&hdr, &caps[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	_, _ = unix.SetfsgidRetGid(gid) // the second call says whether the first one worked
	_, _ = unix.SetfsuidRetUid(uid)
	gotGID, gerr := unix.SetfsgidRetGid(-1)
	gotUID, uerr := unix.SetfsuidRetUid(-1)
	if err := errors.Join(gerr, uerr); err != nil || gotUID != uid || gotGID != gid {
		return fmt.Errorf("become %d:%d, the root of the user namespace: %w", uid, gid, errors.Join(err, unix.EPERM))
	}
	if err := unix.Capset(&hdr, &caps[0]); err != nil { // the change took some away
		return fmt.Errorf("set capabilities: %w", err)
	}
	return nil
}

func mapDir(dir string, ns *os.File) error {
	mnt, err := cloneMapped(dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC, unix.MountAttr{}, ns)
	if err != nil {
		return err
	}
	defer unix.Close(mnt)
	return attach(mnt, dir)
}

// cloneMapped makes a bind mount of dir with the ids of the user namespace ns.
func cloneMapped(dir string, flags uint, attr unix.MountAttr, ns *os.File) (mnt int, err error) {
	attr.Attr_set |= unix.MOUNT_ATTR_IDMAP
	attr.Userns_fd = uint64(ns.Fd())
	mnt, err = cloneWith(dir, flags, attr)
	for _, no := range []error{unix.EINVAL, unix.ENOSYS, unix.ENOTSUP} {
		if errors.Is(err, no) {
			return -1, fmt.Errorf("map the ids of %s: Linux %s cannot do that on %s: %w", dir, release(), filesystem(dir), err)
		}
	}
	if err != nil {
		return -1, fmt.Errorf("map the ids of %s: %w", dir, err)
	}
	return mnt, nil
}

// userNamespace makes a user namespace with the given maps. No process is in it,
// the file alone holds it.
func userNamespace(uids, gids []IDMap) (*os.File, error) {
	if len(uids) == 0 || len(gids) == 0 {
		return nil, errors.New("map ids: both users and groups need a map")
	}
	// The process is stopped before its first instruction, and never gets there:
	// only the thread that made it may say so.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p, err := os.StartProcess("/proc/self/exe", []string{"lifepod-idmap"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER, UidMappings: sysMaps(uids), GidMappings: sysMaps(gids),
		Ptrace: true, Pdeathsig: syscall.SIGKILL,
	}})
	if err != nil {
		return nil, fmt.Errorf("map ids: make a user namespace with users %v and groups %v: %w", uids, gids, err)
	}
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", p.Pid))
	err = errors.Join(err, p.Kill())
	_, werr := p.Wait()
	if err = errors.Join(err, werr); err != nil {
		if ns != nil {
			ns.Close()
		}
		return nil, fmt.Errorf("map ids: %w", err)
	}
	return ns, nil
}

// rootOf is the id of the namespace's root, or, if it has none, of somebody in it.
func rootOf(maps []IDMap) int {
	for _, m := range maps {
		if m.Inside == 0 {
			return int(m.Outside)
		}
	}
	return int(maps[0].Outside)
}

func sysMaps(maps []IDMap) []syscall.SysProcIDMap {
	var all []syscall.SysProcIDMap
	for _, m := range maps {
		all = append(all, syscall.SysProcIDMap{ContainerID: int(m.Inside), HostID: int(m.Outside), Size: int(m.Size)})
	}
	return all
}

// inOwnNamespace calls f on a thread with a mount namespace of its own, which ends
// with it: what f mounts is seen by nobody else, and left by no crash.
func inOwnNamespace(f func() error) error {
	return sys.OnOwnThread(func() error {
		err := unix.Unshare(unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err != nil {
			return fmt.Errorf("make a mount namespace: %w", err)
		}
		return f()
	})
}

// release is the kernel's.
func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "(unknown)"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// filesystem names the type of the one that dir is on.
func filesystem(dir string) string {
	var st unix.Statx_t
	b, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err == nil {
		err = unix.Statx(unix.AT_FDCWD, dir, 0, unix.STATX_MNT_ID, &st)
	}
	if err == nil {
		for line := range strings.Lines(string(b)) {
			mount, fs, _ := strings.Cut(line, " - ")
			if id, _, _ := strings.Cut(mount, " "); id == fmt.Sprint(st.Mnt_id) {
				name, _, _ := strings.Cut(fs, " ")
				return name
			}
		}
	}
	return "its filesystem"
}
