package containertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/internal/crilog"
)

// Process is what a [Fake]'s Script sees.
type Process struct {
	ID   string // of its container
	Args []string
	Env  []string
	Cwd  string
	User specs.User
	TTY  bool
	// Seccomp is the container's profile, if it has one.
	Seccomp *specs.LinuxSeccomp
	// Exec tells a process of Exec from a container's first.
	Exec           bool
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Signals has what came, but for SIGKILL.
	Signals chan syscall.Signal
	// Done is closed when the process is killed: the script should return then.
	// Its exit code is 137 whatever it returns.
	Done <-chan struct{}

	memory func() int64
	kill   func()
	once   sync.Once
	mu     sync.Mutex
	size   container.Size
	oom    bool
}

// Size is the terminal's.
func (p *Process) Size() container.Size {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size
}

func (p *Process) resize(s container.Size) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.size = s
}

// Alloc takes so many bytes: if they are more than the container may have, the
// process is killed for it, and Alloc returns false.
func (p *Process) Alloc(n int64) bool {
	if limit := p.memory(); limit == 0 || n <= limit {
		return true
	}
	p.mu.Lock()
	p.oom = true
	p.mu.Unlock()
	p.signal(syscall.SIGKILL)
	return false
}

func (p *Process) signal(sig syscall.Signal) {
	if sig == syscall.SIGKILL {
		p.once.Do(p.kill)
		return
	}
	select {
	case p.Signals <- sig:
	default:
	}
}

// Sleep returns after d, or false when the process is killed.
func (p *Process) Sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.Done:
		return false
	}
}

// run runs the script. A killed process ends though its script does not.
func (p *Process) run(script func(*Process) int) int {
	if script == nil {
		script = untilTerminated
	}
	code := make(chan int, 1)
	go func() { code <- script(p) }()
	select {
	case n := <-code:
		select {
		case <-p.Done:
			return 137
		default:
			return n & 0xff
		}
	case <-p.Done:
		return 137
	}
}

func untilTerminated(p *Process) int {
	for {
		select {
		case s := <-p.Signals:
			if s == syscall.SIGTERM {
				return 128 + int(s)
			}
		case <-p.Done:
			return 137
		}
	}
}

// Exec implements container.Runtime.
func (f *Fake) Exec(ctx context.Context, id string, e container.Exec) (int, error) {
	f.mu.Lock()
	c, err := f.get(id)
	if err == nil && c.st.Status != container.Running {
		err = container.ErrState
	}
	if err == nil && (len(e.Args) == 0 || e.Args[0] == "") {
		err = errors.New("exec: args must name a program")
	}
	f.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if f.LookPath != nil {
		if err := f.LookPath(e.Args[0]); err != nil {
			return 128, &container.StartError{ID: id, Err: err}
		}
	}
	spec := *c.spec.OCI.Process
	spec.Args, spec.Terminal, spec.ConsoleSize = e.Args, e.TTY, nil
	spec.Env = append(append([]string(nil), spec.Env...), e.Env...)
	if e.Cwd != "" {
		spec.Cwd = e.Cwd
	}
	if e.User != nil {
		spec.User = *e.User
	}
	p := f.process(c, &spec)
	p.Exec, p.Stdout, p.Stderr = true, orDiscard(e.Stdout), orDiscard(e.Stderr)
	if e.Stdin != nil {
		p.Stdin = e.Stdin
	}
	if e.TTY {
		p.Stdin, p.Stdout, p.Stderr = &ttyReader{r: p.Stdin}, ttyWriter{p.Stdout}, ttyWriter{p.Stdout}
	}
	return f.await(ctx, c, p, e.Resize)
}

func (f *Fake) await(ctx context.Context, c *fakeCtr, p *Process, sizes <-chan container.Size) (int, error) {
	code := make(chan int, 1)
	go func() { code <- p.run(f.Script) }()
	for {
		select {
		case n := <-code:
			f.mu.Lock()
			c.st.OOMKilled = c.st.OOMKilled || p.oom
			f.mu.Unlock()
			return n, nil
		case s, ok := <-sizes:
			if p.resize(s); !ok {
				sizes = nil
			}
		case <-c.stopped: // it dies with the container
			p.signal(syscall.SIGKILL)
			return <-code, nil
		case <-ctx.Done():
			p.signal(syscall.SIGKILL)
			<-code
			return 0, ctx.Err()
		}
	}
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// ttyWriter ends lines as a terminal does.
type ttyWriter struct{ w io.Writer }

func (t ttyWriter) Write(b []byte) (int, error) {
	_, err := t.w.Write(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")))
	return len(b), err
}

// ttyReader ends at ^D.
type ttyReader struct {
	r     io.Reader
	ended bool
}

func (t *ttyReader) Read(b []byte) (int, error) {
	if t.ended {
		return 0, io.EOF
	}
	n, err := t.r.Read(b)
	if i := bytes.IndexByte(b[:n], 4); i >= 0 {
		t.ended = true
		return i, nil
	}
	return n, err
}

// fakeLog writes a container's log, and copies to who is attached.
type fakeLog struct {
	mu   sync.Mutex
	path string
	tty  bool
	f    *os.File
	rest map[string][]byte
	taps map[*fakeTap]bool
}

type fakeTap struct{ stdout, stderr io.Writer }

func newFakeLog(path string, tty bool) (*fakeLog, error) {
	l := &fakeLog{path: path, tty: tty, rest: map[string][]byte{}, taps: map[*fakeTap]bool{}}
	return l, l.reopen()
}

func (l *fakeLog) reopen() error {
	if l.path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		l.f.Close()
	}
	l.f = f
	return nil
}

type fakeStream struct {
	l      *fakeLog
	stream string
}

func (l *fakeLog) writer(stream string) io.Writer {
	if l.tty {
		return ttyWriter{fakeStream{l, "stdout"}}
	}
	return fakeStream{l, stream}
}

// Write logs whole lines and keeps the rest.
func (s fakeStream) Write(b []byte) (int, error) {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	for t := range s.l.taps {
		w := t.stdout
		if s.stream == "stderr" {
			w = t.stderr
		}
		if w != nil {
			_, _ = w.Write(b)
		}
	}
	s.l.rest[s.stream] = s.l.flush(s.stream, append(s.l.rest[s.stream], b...), false)
	return len(b), nil
}

func (l *fakeLog) flush(stream string, data []byte, all bool) []byte {
	out, used, _ := crilog.Format(nil, stream, time.Now(), data, all, 1<<30)
	if l.f != nil {
		_, _ = l.f.Write(out)
	}
	return data[used:]
}

func (l *fakeLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range []string{"stdout", "stderr"} {
		l.flush(s, l.rest[s], true)
		l.rest[s] = nil
	}
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
}

// Attach implements container.Attacher.
func (f *Fake) Attach(ctx context.Context, id string, s container.Streams) error {
	f.mu.Lock()
	c, err := f.get(id)
	if err == nil && c.st.Status == container.Stopped {
		err = container.ErrState
	}
	f.mu.Unlock()
	if err != nil {
		return err
	}
	t := &fakeTap{s.Stdout, s.Stderr}
	c.log.tap(t, true)
	defer c.log.tap(t, false)
	if s.Stdin != nil && c.stdinW != nil {
		go func() {
			_, _ = io.Copy(c.stdinW, s.Stdin)
			if c.spec.StdinOnce {
				c.stdinW.Close()
			}
		}()
	}
	for {
		select {
		case size, ok := <-s.Resize:
			if !ok {
				s.Resize = nil
			} else if f.mu.Lock(); c.proc != nil {
				c.proc.resize(size)
				f.mu.Unlock()
			} else {
				f.mu.Unlock()
			}
		case <-c.stopped:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *fakeLog) tap(t *fakeTap, on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if on {
		l.taps[t] = true
	} else {
		delete(l.taps, t)
	}
}
