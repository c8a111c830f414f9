package sys

import "golang.org/x/sys/unix"

// Spread tells the filesystem that the directories in dir have nothing to do with
// one another, as `chattr +T` does. ext4 then puts each of them and what is in it
// where there is room, and not among what was just deleted: without a journal it
// uses no inode again for one to six minutes, and looks at all of them, one by one,
// for each that it needs. Other filesystems are left as they are.
func Spread(dir string) {
	const topDir = 0x20000 // EXT4_TOPDIR_FL
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil || fs.Type != unix.EXT4_SUPER_MAGIC {
		return
	}
	if flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS); err == nil && flags&topDir == 0 {
		_ = unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags|topDir)
	}
}
