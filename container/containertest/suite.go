package containertest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container"
)

// Env is one runtime to test, with nothing in it.
type Env struct {
	Runtime container.Runtime
	// Dir is the test's own directory; logs are written below it.
	Dir string
	// OCI gives a spec that runs args, of which the first is a path. In its root
	// lie the program /testbox (see testbox/main.go), and /notexec and /garbage:
	// a file that is not executable and one that is, but is no program.
	OCI func(id string, args ...string) *specs.Spec
}

// timeout bounds everything that a test waits for.
const timeout = 60 * time.Second

// Run tells t every way in which the runtimes that newEnv makes differ from the
// contract of package container. It calls newEnv once for each part.
func Run(t *testing.T, newEnv func(t *testing.T) Env) {
	for _, c := range []struct {
		name string
		f    func(*suite)
	}{
		{"lifecycle", lifecycle}, {"exit codes", exitCodes}, {"ids", ids}, {"bad input", badInput},
		{"wrong state", wrongState}, {"start errors", startErrors}, {"signals", signals},
		{"delete", deletes}, {"delete after an abandoned create", deleteAbandoned}, {"list", lists}, {"events", events}, {"slow reader of events", slowEvents},
		{"many at once", manyAtOnce}, {"log", logs}, {"log split", logSplit}, {"log complete", logComplete},
		{"log reopen", logReopen}, {"exec", execs}, {"exec streams", execStreams}, {"exec ends with ctx", execCancel},
		{"exec terminal", execTerminal}, {"attach output", attachOutput}, {"attach stdin", attachStdin},
		{"terminal", terminals}, {"out of memory", outOfMemory}, {"update", updates}, {"seccomp", seccomps},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), timeout)
			defer stop()
			c.f(&suite{T: t, Env: newEnv(t), ctx: ctx})
		})
	}
}

// suite is one part under way.
type suite struct {
	*testing.T
	Env
	ctx context.Context //nolint:containedctx // a test's own, as long as the test
}

var serial atomic.Int64

// id gives an id that was not used yet.
func (s *suite) id() string { return "t" + strconv.FormatInt(serial.Add(1), 10) }

func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// is fails unless err is target.
func (s *suite) is(what string, err, target error) {
	s.Helper()
	if !errors.Is(err, target) {
		s.Errorf("%s: got error %v, want %v", what, err, target)
	}
}

func (s *suite) spec(args ...string) container.Spec {
	id := s.id()
	return container.Spec{ID: id, OCI: s.OCI(id, append([]string{"/testbox"}, args...)...), Log: filepath.Join(s.Dir, "logs", id+".log")}
}

// create makes the container and has it deleted at the test's end.
func (s *suite) create(spec container.Spec) {
	s.Helper()
	s.ok(s.Runtime.Create(s.ctx, spec))
	s.Cleanup(func() {
		if err := s.Runtime.Delete(context.WithoutCancel(s.ctx), spec.ID); err != nil {
			s.Errorf("delete at the end: %v", err)
		}
	})
}

// start creates and starts a testbox.
func (s *suite) start(args ...string) container.Spec {
	s.Helper()
	return s.startSpec(s.spec(args...))
}

func (s *suite) startSpec(spec container.Spec) container.Spec {
	s.Helper()
	s.create(spec)
	s.ok(s.Runtime.Start(s.ctx, spec.ID))
	return spec
}

// run starts a testbox and waits for its end.
func (s *suite) run(args ...string) (container.Spec, container.State) {
	s.Helper()
	spec := s.start(args...)
	return spec, s.stopped(spec.ID)
}

func (s *suite) state(id string) container.State {
	s.Helper()
	st, err := s.Runtime.State(s.ctx, id)
	s.ok(err)
	return st
}

// stopped waits until the container has stopped.
func (s *suite) stopped(id string) (st container.State) {
	s.Helper()
	s.until("it stops", func() bool {
		st = s.state(id)
		return st.Status == container.Stopped
	})
	return st
}

func (s *suite) until(what string, ok func() bool) {
	s.Helper()
	for !ok() {
		if s.ctx.Err() != nil {
			s.Fatalf("waited %v until %s", timeout, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// entry is a line of a CRI log.
type entry struct {
	at             time.Time
	stream, tag, s string
}

// log parses the whole log.
func (s *suite) log(path string) []entry {
	s.Helper()
	b, err := os.ReadFile(path)
	s.ok(err)
	var all []entry
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if len(f) != 4 || !strings.HasSuffix(line, "\n") {
			s.Fatalf("log line %q is not of the CRI format", line)
		}
		at, err := time.Parse("2006-01-02T15:04:05.000000000Z07:00", f[0])
		if err != nil || f[1] != "stdout" && f[1] != "stderr" || f[2] != "F" && f[2] != "P" {
			s.Fatalf("log line %q is not of the CRI format: %v", line, err)
		}
		all = append(all, entry{at, f[1], f[2], f[3]})
	}
	return all
}

// text is a log's content: one stream's, or both if stream is empty.
func (s *suite) text(path, stream string) string {
	s.Helper()
	var b strings.Builder
	for _, e := range s.log(path) {
		if stream == "" || e.stream == stream {
			b.WriteString(e.s)
			if e.tag == "F" {
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

// says waits until the log contains text.
func (s *suite) says(spec container.Spec, text string) {
	s.Helper()
	s.until("the log says "+text, func() bool {
		if _, err := os.Stat(spec.Log); err != nil {
			return false
		}
		return strings.Contains(s.text(spec.Log, ""), text)
	})
}
