package crilog

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// pipes are where bytes of a FIFO are copied to for looking at them. They are
// empty whenever they lie here.
var pipes sync.Pool

type lookPipe struct{ r, w *os.File }

func getPipe() *lookPipe {
	if p, ok := pipes.Get().(*lookPipe); ok {
		return p
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil
	}
	return &lookPipe{r, w} // os.File closes itself when the pool lets go of it
}

func rawFd(f *os.File) int {
	n := -1
	raw, err := f.SyscallConn()
	if err != nil {
		return -1
	}
	_ = raw.Control(func(fd uintptr) { n = int(fd) })
	return n
}

// look copies what is at the head of a FIFO to buf and leaves it there.
func look(fd int, buf []byte) []byte {
	p := getPipe()
	if p == nil {
		return nil
	}
	n, err := tee(fd, rawFd(p.w), len(buf))
	if err != nil || n <= 0 {
		pipes.Put(p)
		return nil
	}
	got := 0
	for got < int(n) {
		k, err := p.r.Read(buf[got:n])
		if err != nil || k <= 0 { // never while the pipe holds n bytes; then it is not to be trusted
			p.r.Close()
			p.w.Close()
			return buf[:got]
		}
		got += k
	}
	pipes.Put(p)
	return buf[:got]
}

func tee(from, to, n int) (int64, error) {
	for {
		k, err := unix.Tee(from, to, n, unix.SPLICE_F_NONBLOCK)
		if err != unix.EINTR {
			return k, err
		}
	}
}

var devNull = sync.OnceValues(func() (*os.File, error) { return os.OpenFile(os.DevNull, os.O_WRONLY, 0) })

// discard takes n bytes off a FIFO.
func discard(fd, n int) (int, error) {
	null, err := devNull()
	if err != nil {
		return 0, err
	}
	for {
		k, err := unix.Splice(fd, nil, rawFd(null), nil, n, unix.SPLICE_F_NONBLOCK)
		if err != unix.EINTR {
			return int(k), err
		}
	}
}

// stuck tells that a FIFO which begins with n bytes of an unfinished line cannot
// bring the rest of it: it is full, or its buffers are so small that looking
// does not reach the rest.
func stuck(fd, n int) bool {
	if have, err := unix.IoctlGetInt(fd, unix.TIOCINQ); err == nil && have > n {
		return true
	}
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	_, err := unix.Poll(fds, 0)
	return err == nil && fds[0].Revents&unix.POLLOUT == 0
}
