package mounts

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"
)

// supported says whether the kernel has the whole mount API (Linux 5.12), and
// lets us use it.
var supported = sync.OnceValue(func() bool {
	fd, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	root, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC})
	if err != nil {
		return false
	}
	defer unix.Close(root)
	// With an invalid descriptor only the error differs.
	return errors.Is(unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}), unix.EBADF)
})
