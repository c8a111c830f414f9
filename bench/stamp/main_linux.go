// Command stamp is the program in a measured pod: the first thing that it does
// is to write the monotonic clock to the file that its argument names; then it
// waits to be stopped.
package main

import (
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		os.Exit(1)
	}
	tmp := os.Args[1] + ".tmp"
	if err := os.WriteFile(tmp, []byte(strconv.FormatInt(now.Nano(), 10)), 0o644); err != nil {
		os.Exit(1)
	}
	if err := os.Rename(tmp, os.Args[1]); err != nil {
		os.Exit(1)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
}
