package supervisor

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// poller calls a function when a descriptor becomes ready. Its one epoll set is
// itself watched by Go's, so that it costs no thread.
type poller struct {
	set   *os.File
	fd    int
	mu    sync.Mutex
	next  int32
	ready map[int32]func()
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make epoll set: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make epoll set: %w", err)
	}
	return &poller{set: os.NewFile(uintptr(fd), "epoll"), fd: fd, ready: map[int32]func(){}}, nil
}

// once has f called when fd is readable for the first time, each whenever more
// has become readable. f must not block. The result ends it; it must be called
// before fd is closed.
func (p *poller) once(fd int, f func()) (stop func(), err error) {
	return p.add(fd, unix.EPOLLIN|unix.EPOLLONESHOT, f)
}

func (p *poller) each(fd int, f func()) (stop func(), err error) {
	return p.add(fd, unix.EPOLLIN|unix.EPOLLET, f)
}

func (p *poller) add(fd int, events uint32, f func()) (func(), error) {
	p.mu.Lock()
	p.next++
	key := p.next
	p.ready[key] = f
	p.mu.Unlock()
	remove := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.ready, key)
	}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: key}); err != nil {
		remove()
		return nil, fmt.Errorf("watch descriptor: %w", err)
	}
	return func() {
		_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil)
		remove()
	}, nil
}

// run calls functions until the poller is closed.
func (p *poller) run() {
	raw, err := p.set.SyscallConn()
	if err != nil {
		return
	}
	events := make([]unix.EpollEvent, 64)
	_ = raw.Read(func(uintptr) bool {
		for {
			n, err := unix.EpollWait(p.fd, events, 0)
			if err == unix.EINTR {
				continue
			}
			if n <= 0 {
				return false
			}
			for _, e := range events[:n] {
				p.mu.Lock()
				f := p.ready[e.Fd]
				p.mu.Unlock()
				if f != nil {
					f()
				}
			}
		}
	})
}
