package wire

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn sends and receives messages. Send may be called concurrently, Receive by
// one goroutine.
type Conn struct {
	c       *net.UnixConn
	raw     syscall.RawConn
	timeout time.Duration
	send    sync.Mutex
	oob     []byte

	mu      sync.Mutex // guards what follows, and the read deadline
	stopped bool
	inFrame bool
	begun   time.Time // the frame
	limited bool      // there is a read deadline
}

// ErrStopped is what Receive returns after Stop.
var ErrStopped = errors.New("the connection is stopped")

// NewConn speaks over c, which it owns from now on.
func NewConn(c *net.UnixConn) *Conn {
	raw, _ := c.SyscallConn() // it fails for nil alone
	return &Conn{c: c, raw: raw, timeout: FrameTimeout, oob: make([]byte, unix.CmsgSpace(4*(MaxFiles+1)))}
}

// Close ends the connection; a Receive that waits returns. Closing twice is nil.
func (c *Conn) Close() error {
	if err := c.c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// PeerUID is the user of the process at the other end when it connected.
func (c *Conn) PeerUID() (uint32, error) {
	var cred *unix.Ucred
	var err error
	if cerr := c.raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); cerr != nil {
		return 0, cerr
	}
	if err != nil {
		return 0, fmt.Errorf("ask for the peer's user: %w", err)
	}
	return cred.Uid, nil
}

// Send sends m. The files stay the caller's.
func (c *Conn) Send(m *Message) error {
	frame, err := encode(m)
	if err != nil {
		return err
	}
	var oob []byte
	if len(m.Files) > 0 {
		fds := make([]int, len(m.Files))
		for i, f := range m.Files {
			fds[i] = rawFd(f)
		}
		oob = unix.UnixRights(fds...)
	}
	c.send.Lock()
	defer c.send.Unlock()
	if n := c.sendNow(frame, oob); n < len(frame) {
		return c.sendRest(frame, n, oob)
	}
	return nil
}

// sendNow sends what can be sent at once, mostly all: a deadline is a timer, which
// wakes a thread when it is set and another one when it has passed.
func (c *Conn) sendNow(frame, oob []byte) (n int) {
	_ = c.raw.Write(func(fd uintptr) bool {
		// What is wrong, sendRest will meet.
		n, _ = unix.SendmsgN(int(fd), frame, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		return true
	})
	return max(n, 0)
}

// sendRest waits for room for what is left of a frame after n bytes.
func (c *Conn) sendRest(frame []byte, n int, oob []byte) error {
	if err := c.c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	defer c.c.SetWriteDeadline(time.Time{}) //nolint:errcheck // then it is closed
	if n == 0 {
		var err error
		if n, _, err = c.c.WriteMsgUnix(frame, oob, nil); err != nil {
			return err
		}
	}
	_, err := c.c.Write(frame[n:])
	return err
}

// rawFd is f's descriptor without making it blocking, as f.Fd would.
func rawFd(f *os.File) int {
	n := -1
	raw, err := f.SyscallConn()
	if err != nil {
		return -1
	}
	_ = raw.Control(func(fd uintptr) { n = int(fd) })
	return n
}

// Stop has Receive return ErrStopped, with no byte of a message taken: one that
// waits for a message's first byte does at once, one that has that goes on to
// the message's end. Resume takes it back.
func (c *Conn) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	if !c.inFrame {
		_ = c.limit(time.Unix(1, 0))
	}
}

// Resume has Receive receive again.
func (c *Conn) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = false
}

// Fd is the connection's descriptor, for as long as it is not closed.
func (c *Conn) Fd() int {
	n := -1
	_ = c.raw.Control(func(fd uintptr) { n = int(fd) })
	return n
}

// limit sets the read deadline.
func (c *Conn) limit(at time.Time) error {
	c.limited = !at.IsZero()
	return c.c.SetReadDeadline(at)
}

// between says that no message has begun.
func (c *Conn) between() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return ErrStopped
	}
	c.inFrame = false
	if !c.limited {
		return nil
	}
	return c.limit(time.Time{})
}

// within says that one has.
func (c *Conn) within() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFrame, c.begun = true, time.Now()
	if !c.limited {
		return nil // it will hardly need one: see sendNow
	}
	return c.limit(c.begun.Add(c.timeout))
}

// late says that the rest of a message has to be waited for.
func (c *Conn) late() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.limit(c.begun.Add(c.timeout))
}

// Receive waits for the next message, without limit until its first byte is
// there. The message's files are the caller's.
func (c *Conn) Receive() (*Message, error) {
	if err := c.between(); err != nil {
		return nil, err
	}
	var files []*os.File
	m, err := c.receive(&files)
	if err != nil {
		closeAll(files)
		return nil, err
	}
	return m, nil
}

func (c *Conn) receive(files *[]*os.File) (*Message, error) {
	header := make([]byte, headerSize)
	n, err := c.read(header, files)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, ErrStopped
	}
	if err != nil {
		return nil, err
	}
	if err := c.within(); err != nil {
		return nil, err
	}
	if err := c.fill(header[n:], files); err != nil {
		return nil, err
	}
	size, count, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	body := make([]byte, size)
	if err := c.fill(body, files); err != nil {
		return nil, err
	}
	if len(*files) != count {
		return nil, fmt.Errorf("a frame promised %d descriptors and brought %d", count, len(*files))
	}
	m, err := Decode(body)
	if err != nil {
		return nil, err
	}
	m.Files = *files
	return m, nil
}

// fill reads all of b, within the frame's time.
func (c *Conn) fill(b []byte, files *[]*os.File) error {
	if len(b) == 0 {
		return nil
	}
	n, err := c.readNow(b, files)
	if err != nil || n == len(b) {
		return err
	}
	if err := c.late(); err != nil {
		return err
	}
	for b = b[n:]; len(b) > 0; b = b[n:] {
		if n, err = c.read(b, files); err != nil {
			return err
		}
	}
	return nil
}

// read waits for some bytes.
func (c *Conn) read(b []byte, files *[]*os.File) (int, error) {
	n, oobn, flags, _, err := c.c.ReadMsgUnix(b, c.oob)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, net.ErrClosed
	}
	return n, c.took(oobn, flags, files)
}

// readNow reads what is there, if anything is.
func (c *Conn) readNow(b []byte, files *[]*os.File) (int, error) {
	var n, oobn, flags int
	_ = c.raw.Read(func(fd uintptr) bool {
		// What is wrong, read will meet.
		n, oobn, flags, _, _ = unix.Recvmsg(int(fd), b, c.oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		return true
	})
	if n <= 0 {
		return 0, nil
	}
	return n, c.took(oobn, flags, files)
}

// took looks at what came beside the bytes, and keeps the files.
func (c *Conn) took(oobn, flags int, files *[]*os.File) error {
	if oobn > 0 {
		got, err := parseRights(c.oob[:oobn])
		*files = append(*files, got...)
		if err != nil {
			return err
		}
	}
	if flags&unix.MSG_CTRUNC != 0 || len(*files) > MaxFiles {
		return errors.New("too many descriptors in one frame")
	}
	return nil
}

func parseRights(oob []byte) ([]*os.File, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("parse control message: %w", err)
	}
	var files []*os.File
	for i := range msgs {
		fds, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue // credentials, say: not asked for, without effect
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
