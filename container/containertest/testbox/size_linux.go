package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func terminalSize() string {
	w, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%dx%d", w.Col, w.Row)
}
