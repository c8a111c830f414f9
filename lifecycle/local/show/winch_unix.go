//go:build unix

package show

import (
	"os"
	"os/signal"
	"syscall"
)

// watchSize tells when the terminal's size has changed.
func watchSize() (changed <-chan os.Signal, forget func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGWINCH)
	return ch, func() { signal.Stop(ch) }
}
