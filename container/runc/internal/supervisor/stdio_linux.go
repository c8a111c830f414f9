//go:build cgo

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/opencontainers/runc/libcontainer"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
)

// stdio sets up the process's ends of its streams. The files are to be closed
// when the process has them, or does not get them.
func (c *ctr) stdio(spec container.Spec, p *libcontainer.Process) (files []*os.File, con *console, err error) {
	if spec.OCI.Process.Terminal {
		con, err = newConsole()
		if err != nil {
			return nil, nil, err
		}
		p.ConsoleSocket = con.child
		return []*os.File{con.child, con.parent}, con, nil
	}
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
		files = append(files, f)
		return f
	}
	out, errOut := open("stdout", unix.O_RDWR), open("stderr", unix.O_RDWR)
	if err != nil {
		return files, nil, err
	}
	p.Stdout, p.Stderr = out, errOut
	if spec.Stdin {
		if open("stdin", unix.O_RDWR) == nil { // a writer, so that the next two do not wait or fail
			return files, nil, err
		}
		c.io.openStdin(c.dir)
		in := open("stdin", unix.O_RDONLY)
		if in == nil {
			return files, nil, err
		}
		p.Stdin = in
	}
	return files, nil, c.io.outputs(c.dir, c.log)
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
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(msgs) == 0 {
		return -1, errors.Join(errors.New("receive terminal: none came"), err)
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) == 0 {
		return -1, errors.Join(errors.New("receive terminal: none came"), err)
	}
	return fds[0], nil
}
