package containertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container"
)

func itoa(n int) string { return strconv.Itoa(n) }

func logs(s *suite) {
	before := time.Now().Add(-time.Second)
	spec, _ := s.run("both")
	if got := s.text(spec.Log, "stdout"); got != "to stdout\n" {
		s.Errorf("stdout is %q", got)
	}
	if got := s.text(spec.Log, "stderr"); got != "to stderr\n" {
		s.Errorf("stderr is %q", got)
	}
	for _, e := range s.log(spec.Log) {
		if e.at.Before(before) || e.at.After(time.Now().Add(time.Second)) {
			s.Errorf("entry has time %v", e.at)
		}
	}
	again := s.spec("echo", "second")
	again.Log = spec.Log // appended to
	s.startSpec(again)
	s.stopped(again.ID)
	if got := s.text(spec.Log, "stdout"); got != "to stdout\nsecond\n" {
		s.Errorf("after a second container stdout is %q", got)
	}
	quiet := s.spec("lines", "20000")
	quiet.Log = ""
	s.startSpec(quiet)
	if st := s.stopped(quiet.ID); st.ExitCode != 0 {
		s.Errorf("without a log: %+v", st)
	}
}

func logSplit(s *suite) {
	const limit = 16 << 10
	for n, want := range map[int]string{limit - 1: "F", limit: "F", limit + 1: "PF", 3*limit + 5: "PPPF"} {
		spec, _ := s.run("long", itoa(n))
		tags, size := "", 0
		for _, e := range s.log(spec.Log) {
			tags, size = tags+e.tag, size+len(e.s)
			if e.tag == "P" && len(e.s) != limit {
				s.Errorf("a line of %d: a partial entry of %d bytes", n, len(e.s))
			}
		}
		if tags != want || size != n {
			s.Errorf("a line of %d is %d bytes tagged %s, want %s", n, size, tags, want)
		}
	}
	spec, _ := s.run("partial", "no end", "1ms")
	if l := s.log(spec.Log); len(l) != 1 || l[0].tag != "P" || l[0].s != "no end" {
		s.Errorf("a last line without its end: %v", l)
	}
}

// logComplete wants all output in the log when the container is said to have
// stopped.
func logComplete(s *suite) {
	const n = 50000
	spec, st := s.run("lines", itoa(n))
	if st.LogDropped != 0 {
		s.Errorf("%d lines dropped", st.LogDropped)
	}
	i := 0
	for line := range strings.Lines(s.text(spec.Log, "stdout")) {
		if i++; line != "line "+itoa(i)+"\n" {
			s.Fatalf("line %d is %q", i, line)
		}
	}
	if i != n {
		s.Errorf("%d lines, want %d", i, n)
	}
}

func logReopen(s *suite) {
	r, ok := s.Runtime.(container.LogReopener)
	if !ok {
		s.Skip("it has no ReopenLog")
	}
	const n = 100000
	spec := s.start("lines", itoa(n))
	var parts []string
	for i := range 5 {
		time.Sleep(5 * time.Millisecond)
		part := spec.Log + "." + itoa(i)
		if err := os.Rename(spec.Log, part); err == nil {
			parts = append(parts, part)
		}
		s.ok(r.ReopenLog(s.ctx, spec.ID))
	}
	s.stopped(spec.ID)
	if _, err := os.Stat(spec.Log); err == nil {
		parts = append(parts, spec.Log)
	}
	i := 0
	for _, p := range parts {
		for line := range strings.Lines(s.text(p, "stdout")) {
			if i++; line != "line "+itoa(i)+"\n" {
				s.Fatalf("line %d is %q", i, line)
			}
		}
	}
	if i != n {
		s.Errorf("%d lines in %d files, want %d", i, len(parts), n)
	}
	s.is("reopen the log of an unknown container", r.ReopenLog(s.ctx, "nobody"), container.ErrNotFound)
}

// exec runs a testbox in the container and returns what it wrote.
func (s *suite) exec(id string, e container.Exec) (stdout, stderr string, code int) {
	s.Helper()
	var out, errOut bytes.Buffer
	e.Stdout, e.Stderr = &out, &errOut
	e.Args = append([]string{"/testbox"}, e.Args...)
	code, err := s.Runtime.Exec(s.ctx, id, e)
	s.ok(err)
	return out.String(), errOut.String(), code
}

func execs(s *suite) {
	spec := s.spec("sleep", "1h")
	spec.OCI.Process.Env = []string{"A=container", "B=container"}
	s.startSpec(spec)
	if _, _, code := s.exec(spec.ID, container.Exec{Args: []string{"exit", "7"}}); code != 7 {
		s.Errorf("exit code %d, want 7", code)
	}
	out, _, _ := s.exec(spec.ID, container.Exec{Args: []string{"env"}, Env: []string{"B=exec", "C=exec"}})
	for _, want := range []string{"A=container\n", "B=exec\n", "C=exec\n"} {
		if !strings.Contains(out, want) {
			s.Errorf("environment %q lacks %q", out, want)
		}
	}
	if out, _, _ := s.exec(spec.ID, container.Exec{Args: []string{"pwd"}, Cwd: "/proc"}); out != "/proc\n" {
		s.Errorf("working directory %q", out)
	}
	user := &specs.User{UID: 12, GID: 34, AdditionalGids: []uint32{56}}
	if out, _, _ := s.exec(spec.ID, container.Exec{Args: []string{"id"}, User: user}); out != "uid 12 gid 34 groups [56]\n" {
		s.Errorf("user %q", out)
	}
	var start *container.StartError
	code, err := s.Runtime.Exec(s.ctx, spec.ID, container.Exec{Args: []string{"/no/such"}})
	if !errors.As(err, &start) || code != 128 {
		s.Errorf("exec of a missing program: %d, %v", code, err)
	}
	if _, err := s.Runtime.Exec(s.ctx, spec.ID, container.Exec{}); err == nil {
		s.Error("exec without args was accepted")
	}
	if st := s.state(spec.ID); st.Status != container.Running {
		s.Errorf("after the execs: %+v", st)
	}
}

func execStreams(s *suite) {
	spec := s.start("sleep", "1h")
	out, errOut, _ := s.exec(spec.ID, container.Exec{Args: []string{"both"}})
	if out != "to stdout\n" || errOut != "to stderr\n" {
		s.Errorf("stdout %q, stderr %q", out, errOut)
	}
	var both bytes.Buffer
	_, err := s.Runtime.Exec(s.ctx, spec.ID, container.Exec{Args: []string{"/testbox", "both"}, Stdout: &both, Stderr: &both})
	if err != nil || both.String() != "to stdout\nto stderr\n" {
		s.Errorf("stdout and stderr in one: %q, %v", both.String(), err)
	}
	big := strings.Repeat("0123456789abcdef", 64<<10)
	if out, _, _ := s.exec(spec.ID, container.Exec{Args: []string{"cat"}, Stdin: strings.NewReader(big)}); out != big {
		s.Errorf("cat gave back %d bytes of %d", len(out), len(big))
	}
	if out, _, _ := s.exec(spec.ID, container.Exec{Args: []string{"cat"}}); out != "" {
		s.Errorf("without stdin, cat gave %q", out)
	}
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			var b bytes.Buffer
			code, err := s.Runtime.Exec(s.ctx, spec.ID, container.Exec{Args: []string{"/testbox", "echo", itoa(i)}, Stdout: &b})
			if code != 0 || err != nil || b.String() != itoa(i)+"\n" {
				s.Errorf("exec %d beside others: %q, %d, %v", i, b.String(), code, err)
			}
		})
	}
	wg.Wait()
}

func execCancel(s *suite) {
	spec := s.start("sleep", "1h")
	ctx, stop := context.WithCancel(s.ctx)
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := s.Runtime.Exec(ctx, spec.ID, container.Exec{Args: []string{"/testbox", "ignore"}, Stdout: w})
		ended <- err
		w.Close()
	}()
	line := make([]byte, 6)
	if _, err := io.ReadFull(r, line); err != nil || string(line) != "ready\n" {
		s.Fatalf("the exec said %q, %v", line, err)
	}
	stop()
	s.is("an exec whose ctx ended", <-ended, context.Canceled)
	if st := s.state(spec.ID); st.Status != container.Running {
		s.Errorf("the container after that: %+v", st)
	}
}

func execTerminal(s *suite) {
	spec := s.start("sleep", "1h")
	sizes := make(chan container.Size, 1)
	sizes <- container.Size{Width: 80, Height: 24}
	in, keys := io.Pipe()
	screen, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, err := s.Runtime.Exec(s.ctx, spec.ID, container.Exec{
			Args: []string{"/testbox", "size"}, TTY: true, Stdin: in, Stdout: out, Resize: sizes,
		})
		out.Close()
		ended <- err
	}()
	read := newReader(screen)
	s.until("the size is 80x24", func() bool { _, _ = io.WriteString(keys, "\n"); return read.has("size 80x24\r\n") })
	sizes <- container.Size{Width: 132, Height: 50}
	s.until("the size is 132x50", func() bool { _, _ = io.WriteString(keys, "\n"); return read.has("size 132x50\r\n") })
	_, _ = io.WriteString(keys, "\x04") // end of file
	s.ok(<-ended)
	keys.Close()
}

// reader collects what comes.
type reader struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func newReader(from io.Reader) *reader {
	r := new(reader)
	go func() { _, _ = io.Copy(r, from) }()
	return r
}

func (r *reader) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(b)
}

func (r *reader) has(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Contains(r.buf.String(), text)
}

func (s *suite) attacher() container.Attacher {
	a, ok := s.Runtime.(container.Attacher)
	if !ok {
		s.Skip("it has no Attach")
	}
	return a
}

func attachOutput(s *suite) {
	a := s.attacher()
	s.is("attach to an unknown container", a.Attach(s.ctx, "nobody", container.Streams{Stdout: io.Discard}), container.ErrNotFound)
	spec := s.spec("both")
	s.create(spec)
	var out, errOut reader
	ended := make(chan error, 1)
	go func() { ended <- a.Attach(s.ctx, spec.ID, container.Streams{Stdout: &out, Stderr: &errOut}) }()
	time.Sleep(50 * time.Millisecond) // an attach that comes later would miss what was before
	s.ok(s.Runtime.Start(s.ctx, spec.ID))
	s.ok(<-ended)
	if !out.has("to stdout\n") || !errOut.has("to stderr\n") {
		s.Errorf("attached to %q and %q", out.buf.String(), errOut.buf.String())
	}
	s.stopped(spec.ID)
	if got := s.text(spec.Log, "stdout"); got != "to stdout\n" {
		s.Errorf("the log besides: %q", got)
	}
	spec = s.start("sleep", "1h")
	ctx, stop := context.WithTimeout(s.ctx, 50*time.Millisecond)
	defer stop()
	s.is("an attach whose ctx ended", a.Attach(ctx, spec.ID, container.Streams{Stdout: io.Discard}), context.DeadlineExceeded)
}

func attachStdin(s *suite) {
	a := s.attacher()
	spec := s.spec("cat")
	spec.Stdin, spec.StdinOnce = true, true
	s.startSpec(spec)
	var out reader
	s.ok(a.Attach(s.ctx, spec.ID, container.Streams{Stdin: strings.NewReader("hello\n"), Stdout: &out}))
	if st := s.stopped(spec.ID); st.ExitCode != 0 || !out.has("hello\n") {
		s.Errorf("cat with stdinOnce: %+v, %q", st, out.buf.String())
	}
	spec = s.spec("cat")
	spec.Stdin = true
	s.startSpec(spec)
	for _, word := range []string{"one", "two"} { // the first does not end it
		ctx, stop := context.WithCancel(s.ctx)
		var out reader
		ended := make(chan error, 1)
		go func() {
			ended <- a.Attach(ctx, spec.ID, container.Streams{Stdin: strings.NewReader(word + "\n"), Stdout: &out})
		}()
		s.until("cat says "+word, func() bool { return out.has(word + "\n") })
		stop()
		s.is("an attach whose ctx ended", <-ended, context.Canceled)
	}
	if st := s.state(spec.ID); st.Status != container.Running {
		s.Errorf("cat without stdinOnce: %+v", st)
	}
	none := s.start("cat") // reads /dev/null
	if st := s.stopped(none.ID); st.ExitCode != 0 {
		s.Errorf("cat without stdin: %+v", st)
	}
}

func terminals(s *suite) {
	spec := s.spec("size")
	spec.OCI.Process.Terminal = true
	spec.OCI.Process.ConsoleSize = &specs.Box{Width: 100, Height: 30}
	spec.Stdin = true
	s.startSpec(spec)
	s.says(spec, "size 100x30\n")
	a := s.attacher()
	ctx, stop := context.WithCancel(s.ctx)
	sizes := make(chan container.Size, 1)
	in, keys := io.Pipe()
	var out reader
	ended := make(chan error, 1)
	go func() {
		ended <- a.Attach(ctx, spec.ID, container.Streams{Stdin: in, Stdout: &out, Resize: sizes})
	}()
	sizes <- container.Size{Width: 90, Height: 20}
	s.until("the size is 90x20", func() bool { _, _ = io.WriteString(keys, "\n"); return out.has("size 90x20\r\n") })
	stop()
	s.is("an attach whose ctx ended", <-ended, context.Canceled)
	keys.Close()
	if st := s.state(spec.ID); st.Status != container.Running {
		s.Errorf("after the attach: %+v", st)
	}
}

func outOfMemory(s *suite) {
	spec := s.spec("alloc", "512")
	limit := int64(64 << 20)
	spec.OCI.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit}
	s.startSpec(spec)
	if st := s.stopped(spec.ID); !st.OOMKilled || st.ExitCode != 137 || st.ExitUnknown {
		s.Errorf("after taking more memory than it may: %+v", st)
	}
	if _, st := s.run("alloc", "16"); st.OOMKilled || st.ExitCode != 0 {
		s.Errorf("after taking little: %+v", st)
	}
	killed := s.start("sleep", "1h")
	s.ok(s.Runtime.Signal(s.ctx, killed.ID, os.Kill))
	if st := s.stopped(killed.ID); st.OOMKilled || st.ExitCode != 137 {
		s.Errorf("after a SIGKILL by us: %+v", st)
	}
}

func updates(s *suite) {
	u, ok := s.Runtime.(container.Updater)
	if !ok {
		s.Skip("it has no Update")
	}
	s.is("update an unknown container", u.Update(s.ctx, "nobody", &specs.LinuxResources{}), container.ErrNotFound)
	spec := s.spec("cat")
	limit := int64(512 << 20)
	spec.OCI.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit}
	spec.Stdin = true
	s.startSpec(spec)
	less := int64(48 << 20)
	s.ok(u.Update(s.ctx, spec.ID, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &less}}))
	if _, _, code := s.exec(spec.ID, container.Exec{Args: []string{"alloc", "256"}}); code != 137 {
		s.Errorf("taking 256 MiB of 48: exit code %d, want 137", code)
	}
	if st := s.state(spec.ID); !st.OOMKilled || st.Status != container.Running {
		s.Errorf("the container after that: %+v", st)
	}
	done, _ := s.run("exit", "0")
	s.is("update a stopped container", u.Update(s.ctx, done.ID, &specs.LinuxResources{}), container.ErrState)
}
