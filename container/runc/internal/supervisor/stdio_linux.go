//go:build cgo

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
)

// stdio sets up the process's ends of its streams. What was opened is to be
// closed when the process has it, or does not get it.
func (c *ctr) stdio(spec container.Spec) (files [3]*os.File, opened []*os.File, err error) {
	open := func(name string, flags int) *os.File {
		fd := -1
		if err == nil {
			err = makeFIFO(c.dir, name)
		}
		if err == nil {
			fd, err = openFIFO(c.dir, name, flags)
		}
		if err != nil {
			return nil
		}
		f := os.NewFile(uintptr(fd), name)
		opened = append(opened, f)
		return f
	}
	out, errOut := open("stdout", unix.O_RDWR), open("stderr", unix.O_RDWR)
	if err != nil {
		return files, opened, err
	}
	files[1], files[2] = out, errOut
	if spec.Stdin {
		if open("stdin", unix.O_RDWR) == nil { // a writer, so that the next two do not wait or fail
			return files, opened, err
		}
		c.io.openStdin(c.dir)
		in := open("stdin", unix.O_RDONLY)
		if in == nil {
			return files, opened, err
		}
		files[0] = in
	}
	return files, opened, c.io.outputs(c.dir, c.log)
}

// console is the socket over which libcontainer sends a terminal's master.
type console struct{ parent, child *os.File }

func newConsole() (*console, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make console socket: %w", err)
	}
	tv := unix.NsecToTimeval(int64(10 * time.Second))
	_ = unix.SetsockoptTimeval(fds[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
	return &console{os.NewFile(uintptr(fds[0]), "console"), os.NewFile(uintptr(fds[1]), "console")}, nil
}

// receive waits for the master.
func (c *console) receive() (int, error) {
	c.child.Close()
	buf, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(c.parent.Fd()), buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("receive terminal: %w", err)
	}
	return oneRight(oob[:n])
}

// oneRight gives the descriptor that came with a message.
func oneRight(oob []byte) (int, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(msgs) == 0 {
		return -1, errors.Join(errors.New("receive terminal: none came"), err)
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) == 0 {
		return -1, errors.Join(errors.New("receive terminal: none came"), err)
	}
	return fds[0], nil
}
