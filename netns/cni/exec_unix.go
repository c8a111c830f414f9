//go:build unix

package cni

import (
	"os/exec"
	"syscall"
)

// ownGroup lets a plugin be ended together with the plugins that it started.
func ownGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
}
