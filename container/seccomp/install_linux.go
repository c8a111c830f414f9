package seccomp

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Install puts the calling thread, and what it executes, under the filter for
// ever. The caller has locked the thread and has CAP_SYS_ADMIN in its user
// namespace, or no_new_privs. The zero Filter does nothing.
func (f Filter) Install() error {
	if len(f.Program) == 0 {
		return nil
	}
	prog := make([]unix.SockFilter, len(f.Program))
	for i, r := range f.Program {
		prog[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(f.Flags), uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(prog)
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	return nil
}

// Supported asks the kernel whether filters can be installed: nil for yes, an
// error with [errors.ErrUnsupported] for no.
func Supported() error {
	// With flags that it knows, it goes on to look for the program.
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flagLog|flagSpecAllow, 0)
	if errno == unix.EFAULT {
		return nil
	}
	return fmt.Errorf("this kernel cannot filter system calls (%w: seccomp: %w; it must be 4.17 or newer, with CONFIG_SECCOMP_FILTER): use Unconfined",
		errors.ErrUnsupported, errno)
}
