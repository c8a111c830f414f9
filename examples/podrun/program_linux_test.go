package main_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/console"

	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/lifecycle/local"
)

// programs are podrun and the demo image's program, built once.
var programs = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "podrun"); err != nil {
		return "", err
	}
	for name, cgo := range map[string]string{".": "1", "../pods/demo": "0"} {
		cmd := exec.Command("go", "build", "-o", dir+"/", name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if msg, err := cmd.CombinedOutput(); err != nil {
			return dir, errors.New(string(msg))
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := programs(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// shop is a root with podrun at hand.
type shop struct {
	dir, root, run string // dir is for the test's files
}

// open makes a root; at the test's end nothing of it may be left on the machine.
func open(t *testing.T) *shop {
	t.Helper()
	testutil.RequireRoot(t)
	if dir, err := programs(); err != nil {
		t.Fatalf("build in %q: %v", dir, err)
	}
	s := &shop{dir: t.TempDir(), root: t.TempDir()}
	run, err := os.MkdirTemp("/run", "lpt")
	if err != nil {
		t.Fatal(err)
	}
	s.run = run
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{s.root, s.run}, Names: []string{local.RootID(s.root)}})
	t.Cleanup(func() { // the supervisor stays for a while, and goes last
		if logs, _ := os.ReadDir(filepath.Join(s.root, "log", "pods")); len(logs) > 0 {
			t.Errorf("logs of pods that are gone: %v", logs)
		}
		waitFor(t, "the supervisor to end", func() bool {
			_, err := os.Stat(s.run)
			return errors.Is(err, os.ErrNotExist)
		})
	})
	return s
}

// waitFor asks until it is so.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (s *shop) file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// command is podrun with these arguments, on the shop's root.
func (s *shop) command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	dir, _ := programs()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	args = append([]string{name, "--root", s.root, "--run", s.run}, args...)
	if name == "run" || name == "agent" {
		args = append([]string{name, "--demo", dir + "/demo"}, args[1:]...)
	}
	cmd := exec.CommandContext(ctx, dir+"/podrun", args...)
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// do runs podrun to its end.
func (s *shop) do(t *testing.T, name string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return result(t, s.command(t, name, args...))
}

func result(t *testing.T, cmd *exec.Cmd) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// output is what a process has written so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func (o *output) await(t *testing.T, text string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("it wrote:\n%s", o)
		}
	}()
	waitFor(t, text, func() bool { return strings.Contains(o.String(), text) })
}

// background starts podrun, which is to end within the test.
func (s *shop) background(t *testing.T, name string, args ...string) (*exec.Cmd, *output) {
	t.Helper()
	cmd, out := s.command(t, name, args...), &output{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

// ends waits for a process, and wants this exit code.
func ends(t *testing.T, cmd *exec.Cmd, want int, out *output) {
	t.Helper()
	if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("it ended with %d, want %d, after:\n%s", got, want, out)
	}
}

// terminal is a pseudo terminal with somebody at it.
type terminal struct {
	console.Console
	tty  *os.File
	out  output
	read chan struct{} // closed when all was read
}

func openTerminal(t *testing.T, width, height uint16) *terminal {
	t.Helper()
	con, name, err := console.NewPty()
	if err != nil {
		t.Fatal(err)
	}
	tm := &terminal{Console: con, read: make(chan struct{})}
	tm.size(t, width, height)
	if tm.tty, err = os.OpenFile(name, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(tm.read)
		buf := make([]byte, 4096)
		for {
			n, err := tm.Read(buf)
			_, _ = tm.out.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { tm.tty.Close(); <-tm.read; con.Close() })
	return tm
}

func (tm *terminal) size(t *testing.T, width, height uint16) {
	t.Helper()
	if err := tm.Resize(console.WinSize{Width: width, Height: height}); err != nil {
		t.Fatal(err)
	}
}

// run starts a program that has the terminal for itself.
func (tm *terminal) run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tm.tty, tm.tty, tm.tty
	cmd.Env = append(os.Environ(), "TERM=xterm")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// press types a key.
func (tm *terminal) press(t *testing.T, key string) {
	t.Helper()
	if _, err := tm.Write([]byte(key)); err != nil {
		t.Fatal(err)
	}
}

const ctrlC = "\x03"
