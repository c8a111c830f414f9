//go:build cgo

package supervisor

import (
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// consoleSocket is where a runtime program sends a terminal's master.
type consoleSocket struct {
	path string
	dir  int
	l    *net.UnixListener
}

// listenConsole makes the socket in dir, whose path may be too long for one.
func listenConsole(dir string) (*consoleSocket, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	path := fmt.Sprintf("/proc/%d/fd/%d/tty", os.Getpid(), fd)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make console socket: %w", err)
	}
	return &consoleSocket{path: path, dir: fd, l: l}, nil
}

func (c *consoleSocket) close() {
	c.l.Close()
	unix.Close(c.dir)
}

// receive takes the master that the runtime sent.
func (c *consoleSocket) receive() (int, error) {
	deadline := time.Now().Add(10 * time.Second)
	if err := c.l.SetDeadline(deadline); err != nil {
		return -1, err
	}
	conn, err := c.l.AcceptUnix()
	if err != nil {
		return -1, fmt.Errorf("receive terminal: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return -1, err
	}
	buf, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(buf, oob)
	if err != nil {
		return -1, fmt.Errorf("receive terminal: %w", err)
	}
	return oneRight(oob[:n])
}
