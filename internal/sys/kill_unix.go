//go:build unix

package sys

import (
	"os"
	"syscall"
)

// killSelf ends the process as an outside SIGKILL would: nothing is cleaned up.
func killSelf() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
