//go:build unix

package probe

import "syscall"

func linger(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		// The probe works without it, so a refusal is no error.
		_ = syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1, Linger: 1})
	})
}
