//go:build cgo

package supervisor

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/internal/sys"
)

var effectHide = sys.NewEffect("container/hide-unified")

// hideUnified has this thread see no unified cgroups beside v1's.
func hideUnified() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("set up a mount namespace: %w", err)
	}
	if err := unix.Unmount(unifiedHybrid, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s in it: %w", unifiedHybrid, err)
	}
	return nil
}

// hidesUnified tells whether the runtime program refuses a machine that has
// cgroups of both versions mounted, as crun does, and this is one.
func (s *Supervisor) hidesUnified(path string) bool {
	if !hybrid() {
		return false
	}
	known, ok := s.hides.Load(path)
	if !ok {
		ctx, stop := context.WithTimeout(context.Background(), programTimeout)
		defer stop()
		var out []byte
		_ = s.reap.during(func() (err error) {
			out, err = exec.CommandContext(ctx, path, "--version").Output()
			return err
		})
		known = strings.HasPrefix(string(out), "crun ")
		s.hides.Store(path, known)
	}
	return known.(bool)
}
