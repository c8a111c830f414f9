//go:build cgo

package supervisor

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/opencontainers/runc/libcontainer/exeseal"
	"golang.org/x/sys/unix"
)

// Reexec executes this program again from a sealed memfd if its file is gone or
// will be: libcontainer would else copy it at each start. It returns if there is
// no need.
func Reexec() error {
	if exeseal.IsSelfExeCloned() || exeIsFile() {
		return nil
	}
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	clone, err := exeseal.CloneBinary(f, fi.Size(), "lifepod-supervisor", os.TempDir())
	if err != nil {
		return fmt.Errorf("copy this program to memory: %w", err)
	}
	defer clone.Close()
	return become(clone, os.Environ())
}

// become has this process go on as program. It returns only if that cannot be.
func become(program *os.File, env []string) error {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		return err
	}
	err := unix.Exec(fmt.Sprintf("/proc/self/fd/%d", rawFd(program)), os.Args, env)
	// Go has lowered the limit for the new program. Without Go's knowledge, as
	// processes that are started are to get the lower one.
	_, _, _ = unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&was)), 0, 0, 0)
	return err
}

// rawFd is f's descriptor, or -1 when it is closed. It stays as it is, which it
// would not with f.Fd.
func rawFd(f *os.File) int {
	n := -1
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { n = int(fd) })
	}
	return n
}
