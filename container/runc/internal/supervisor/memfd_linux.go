//go:build cgo

package supervisor

import (
	"fmt"
	"os"

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
	return unix.Exec(fmt.Sprintf("/proc/self/fd/%d", clone.Fd()), os.Args, os.Environ())
}
