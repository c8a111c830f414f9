package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container/internal/crilog"
	"github.com/lifepod/lifepod/internal/sys"
)

var effectFIFO = sys.NewEffect("container/fifo")

// streams are the supervisor's ends of a container's stdio.
type streams struct {
	stdout, stderr *crilog.Source // with a terminal, stderr is nil
	pump           *crilog.Pump
	stops          []func()

	mu    sync.Mutex
	fds   []int
	stdin int // the FIFO's writing end, or -1
	tty   int // the terminal's master, or -1
}

func newStreams() *streams { return &streams{stdin: -1, tty: -1} }

func makeFIFO(dir, name string) error {
	p := filepath.Join(dir, name)
	if err := effectFIFO.Do(func() error { return unix.Mkfifo(p, 0o666) }); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make FIFO %s: %w", p, err)
	}
	return os.Chmod(p, 0o666) // the umask took some
}

func openFIFO(dir, name string, flags int) (int, error) {
	p := filepath.Join(dir, name)
	fd, err := unix.Open(p, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, fmt.Errorf("open FIFO %s: %w", p, err)
	}
	return fd, nil
}

// output opens the supervisor's end of one output FIFO. It is open for writing
// too, so that it has no end before we say so.
func (s *streams) output(dir, name string) (*crilog.Source, error) {
	fd, err := openFIFO(dir, name, unix.O_RDWR|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	s.fds = append(s.fds, fd)
	return &crilog.Source{Stream: name, Fd: fd}, nil
}

// outputs opens stdout and stderr.
func (s *streams) outputs(dir string, log *crilog.File) (err error) {
	if s.stdout, err = s.output(dir, "stdout"); err != nil {
		return err
	}
	if s.stderr, err = s.output(dir, "stderr"); err != nil {
		return err
	}
	s.pump = crilog.NewPump(log, s.stdout, s.stderr)
	return nil
}

// terminal takes over a master.
func (s *streams) terminal(master int, log *crilog.File) error {
	if err := unix.SetNonblock(master, true); err != nil {
		return fmt.Errorf("set up terminal: %w", err)
	}
	s.tty = master
	s.fds = append(s.fds, master)
	s.stdout = &crilog.Source{Stream: "stdout", Fd: master, TTY: true}
	s.pump = crilog.NewPump(log, s.stdout)
	return nil
}

// keptStreams are what another program goes on with.
type keptStreams struct {
	Stdin      int            `json:"stdin"`
	TTY        int            `json:"tty"`
	Stdout     int            `json:"stdout"` // the terminal too
	Stderr     int            `json:"stderr"`
	OutCarried crilog.Carried `json:"outCarried"`
	ErrCarried crilog.Carried `json:"errCarried"`
	Watched    bool           `json:"watched,omitempty"`
}

// keep tells what another program is to go on with, which take does. The pump
// rests meanwhile.
func (s *streams) keep() keptStreams {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := keptStreams{Stdin: s.stdin, TTY: s.tty, Stdout: -1, Stderr: -1, Watched: len(s.stops) > 0}
	if len(s.fds) == 0 {
		return k
	}
	k.Stdout, k.OutCarried = s.stdout.Fd, s.stdout.Carried
	if s.stderr != nil {
		k.Stderr, k.ErrCarried = s.stderr.Fd, s.stderr.Carried
	}
	return k
}

func (s *streams) take(k keptStreams, log *crilog.File) {
	s.stdin, s.tty = k.Stdin, k.TTY
	if k.Stdout < 0 {
		return
	}
	s.fds = []int{k.Stdout}
	s.stdout = &crilog.Source{Stream: "stdout", Fd: k.Stdout, TTY: k.TTY >= 0, Carried: k.OutCarried}
	sources := []*crilog.Source{s.stdout}
	if k.Stderr >= 0 {
		s.fds = append(s.fds, k.Stderr)
		s.stderr = &crilog.Source{Stream: "stderr", Fd: k.Stderr, Carried: k.ErrCarried}
		sources = append(sources, s.stderr)
	}
	s.pump = crilog.NewPump(log, sources...)
}

// rest stops the carrying of output, which rested waits for, until resume.
func (s *streams) rest() {
	if s.pump != nil {
		s.pump.Rest()
	}
}

func (s *streams) rested() {
	if s.pump != nil {
		s.pump.Rested()
	}
}

func (s *streams) resume() {
	if s.pump != nil {
		s.pump.Resume()
	}
}

// watch begins to carry output.
func (s *streams) watch(p *poller) error {
	for _, src := range []*crilog.Source{s.stdout, s.stderr} {
		if src == nil {
			continue
		}
		stop, err := p.each(src.Fd, s.pump.Kick)
		if err != nil {
			return err
		}
		s.stops = append(s.stops, stop)
	}
	if s.pump != nil {
		s.pump.Kick()
	}
	return nil
}

// openStdin opens the writing end of the container's stdin, where it has one.
func (s *streams) openStdin(dir string) {
	if fd, err := openFIFO(dir, "stdin", unix.O_WRONLY|unix.O_NONBLOCK); err == nil {
		s.stdin = fd
	}
}

func (s *streams) closeStdin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stdin >= 0 {
		unix.Close(s.stdin)
		s.stdin = -1
	}
}

// input gives a copy of what an attached client writes to, or nil.
func (s *streams) input() *os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	fd := s.stdin
	if s.tty >= 0 {
		fd = s.tty
	}
	return dup(fd, "input")
}

func dup(fd int, name string) *os.File {
	if fd < 0 {
		return nil
	}
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(n), name)
}

// held gives copies of the output FIFOs for agents to keep open.
func (s *streams) held() []*os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	var files []*os.File
	if s.tty < 0 {
		for _, fd := range s.fds {
			if f := dup(fd, "fifo"); f != nil {
				files = append(files, f)
			}
		}
	}
	return files
}

// finish carries what is left and closes everything. Calling it twice is
// harmless; an unread error message of the runtime is returned instead of logged
// when raw is set.
func (s *streams) finish(raw bool) (text string) {
	for _, stop := range s.stops {
		stop()
	}
	s.stops = nil
	if raw {
		text = s.message()
	}
	if s.pump != nil {
		s.pump.Drain()
	}
	s.closeStdin()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fd := range s.fds {
		unix.Close(fd)
	}
	s.fds, s.tty = nil, -1
	return text
}

// discard takes away what a runtime that failed wrote to the streams that were
// to be the container's.
func (s *streams) discard() {
	buf := make([]byte, 4096)
	for _, src := range []*crilog.Source{s.stdout, s.stderr} {
		for src != nil {
			if n, err := unix.Read(src.Fd, buf); n <= 0 || err != nil {
				break
			}
		}
	}
}

// message reads what stderr, or the terminal, holds.
func (s *streams) message() string {
	src := s.stderr
	if src == nil {
		src = s.stdout
	}
	buf := make([]byte, 4096)
	n, _ := unix.Read(src.Fd, buf)
	return string(buf[:max(n, 0)])
}
