package runc

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
)

// stdio is the descriptors that a process gets, and the copying behind those
// that the caller gave as something else.
type stdio struct {
	theirs []*os.File // what to send; closed are those in own
	own    []*os.File // to be closed when they are sent
	ends   []*os.File // our ends of pipes
	out    sync.WaitGroup
}

// input adds the process's stdin.
func (s *stdio) input(r io.Reader) error {
	if f, ok := r.(*os.File); ok && f != nil {
		s.theirs = append(s.theirs, f)
		return nil
	}
	if r == nil {
		return s.null(os.O_RDONLY)
	}
	in, w, err := os.Pipe()
	if err != nil {
		return err
	}
	s.theirs, s.own, s.ends = append(s.theirs, in), append(s.own, in), append(s.ends, w)
	go func() { // it ends when r does, which nobody else can bring about
		_, _ = io.Copy(w, r)
		w.Close()
	}()
	return nil
}

// output adds stdout or stderr.
func (s *stdio) output(w io.Writer) error {
	if f, ok := w.(*os.File); ok && f != nil {
		s.theirs = append(s.theirs, f)
		return nil
	}
	if w == nil {
		return s.null(os.O_WRONLY)
	}
	return s.pipe(w)
}

// pipe adds a pipe whose other end is copied to w.
func (s *stdio) pipe(w io.Writer) error {
	r, out, err := os.Pipe()
	if err != nil {
		return err
	}
	s.theirs, s.own, s.ends = append(s.theirs, out), append(s.own, out), append(s.ends, r)
	s.out.Go(func() { _, _ = io.Copy(w, r) })
	return nil
}

func (s *stdio) null(flags int) error {
	f, err := os.OpenFile(os.DevNull, flags, 0)
	if err != nil {
		return err
	}
	s.theirs, s.own = append(s.theirs, f), append(s.own, f)
	return nil
}

// sent closes what the process has copies of.
func (s *stdio) sent() {
	closeFiles(s.own)
	s.own = nil
}

// finish waits until all output is copied, or stop is closed, and closes our ends.
func (s *stdio) finish(stop <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		s.out.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-stop:
		for _, f := range s.ends {
			_ = f.SetDeadline(time.Unix(1, 0))
		}
		select { // a writer of the caller's may hang
		case <-done:
		case <-time.After(time.Second):
		}
	}
	closeFiles(s.ends)
	s.ends = nil
}

// terminal is our copy of a pty's master.
type terminal struct{ f *os.File }

// newTerminal takes f over so that reads and writes of it can be interrupted.
func newTerminal(f *os.File) (*terminal, error) {
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	cerr := raw.Control(func(n uintptr) { fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 3) })
	if err := errors.Join(err, cerr); err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &terminal{os.NewFile(uintptr(fd), "terminal")}, nil
}

func (t *terminal) resize(s container.Size) {
	raw, err := t.f.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: s.Height, Col: s.Width})
	})
}

// follow resizes until done is closed.
func (t *terminal) follow(sizes <-chan container.Size, done <-chan struct{}) {
	for {
		select {
		case s, ok := <-sizes:
			if !ok {
				return
			}
			t.resize(s)
		case <-done:
			return
		}
	}
}
