//go:build unix

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/lifepod/lifepod/cri/stream"
)

// sizes sends the terminal's size now and at each change.
func sizes(ctx context.Context, fd int) <-chan stream.Size {
	out := make(chan stream.Size)
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	changed <- syscall.SIGWINCH
	go func() {
		defer close(out)
		for {
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
			if w, h, err := term.GetSize(fd); err == nil {
				select {
				case out <- stream.Size{Width: uint16(w), Height: uint16(h)}: //nolint:gosec // a terminal's
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}
