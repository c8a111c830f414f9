package sys

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Privileged tells whether this process may make namespaces, mounts and network
// links: an error names the capability that it lacks.
func Privileged() error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&head, &have[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	switch {
	case have[0].Effective&(1<<unix.CAP_SYS_ADMIN) == 0:
		return errors.New("this process lacks CAP_SYS_ADMIN")
	case have[0].Effective&(1<<unix.CAP_NET_ADMIN) == 0:
		return errors.New("this process lacks CAP_NET_ADMIN")
	}
	return nil
}
