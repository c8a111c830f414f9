package main_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/console"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/internal/testutil"
)

// program builds pull into a directory that anybody may look into.
func program(t *testing.T) string {
	t.Helper()
	testutil.RequireRoot(t)
	dir, err := os.MkdirTemp("", "pull")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // nobody runs it, too
		t.Fatal(err)
	}
	if msg, err := exec.Command("go", "build", "-o", dir+"/pull", ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
	return dir + "/pull"
}

// registry serves an image of two layers, and none by another name.
func registry(t *testing.T) (*imagetest.Registry, string) {
	t.Helper()
	reg := &imagetest.Registry{}
	if _, err := reg.Add("app:1", imagetest.Random(3, 2, 300_000)); err != nil {
		t.Fatal(err)
	}
	host, stop, err := reg.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return reg, host
}

// command is pull with a directory for what it makes, which has to be empty when
// the test ends.
func command(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{dir}})
	t.Cleanup(func() {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	return cmd
}

func TestMessages(t *testing.T) {
	pull := program(t)
	_, host := registry(t)
	for name, c := range map[string]struct {
		args []string
		uid  uint32
		code int
		want string
	}{
		"no image":        {nil, 0, 2, "pull: it takes one IMAGE, or --demo, and got []"},
		"two images":      {[]string{"a", "b"}, 0, 2, `pull: it takes one IMAGE, or --demo, and got ["a" "b"]`},
		"demo and image":  {[]string{"--demo", "a"}, 0, 2, `and got ["a"]`},
		"unknown flag":    {[]string{"--fast", "a"}, 0, 2, "flag provided but not defined: -fast"},
		"no name":         {[]string{"A B"}, 0, 1, "couldn't parse image name"},
		"no such image":   {[]string{host + "/other:1"}, 0, 1, "404"},
		"no registry":     {[]string{"127.0.0.1:1/app"}, 0, 1, "connection refused; does the registry run, and is its name right?"},
		"not root":        {[]string{host + "/app:1"}, 65534, 1, "pull: mounts need root; run it with sudo"},
		"root is a file":  {[]string{"--root", pull, host + "/app:1"}, 0, 1, "not a directory"},
		"help is no fail": {[]string{"-h"}, 0, 0, "usage: pull"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, pull, c.args...)
			if c.uid != 0 {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.uid, Gid: c.uid}}
			}
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if cmd.ProcessState == nil {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(stderr.String(), c.want) || len(out) > 0 {
				t.Errorf("ended with %d, %q and\n%s\nwant %d and %q", code, out, &stderr, c.code, c.want)
			}
		})
	}
}

// Where there is no terminal it writes lines, and ends.
func TestLines(t *testing.T) {
	pull := program(t)
	_, host := registry(t)
	for _, args := range [][]string{{host + "/app:1"}, {"--demo"}} {
		out, err := command(t, pull, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, want := range []string{
			`layer 1 [0-9a-f]{12}: waiting, 0 of \d+ bytes\n`, `layer 2 [0-9a-f]{12}: fetching, \d+ of \d+ bytes\n`, `layer 2 [0-9a-f]{12}: done, (\d+) of \d+ bytes\n`,
			`(?m)^sha256:[0-9a-f]{64}: \d+ bytes in [24] layers\nmounted at /\S+: "layer0/" "layer1/"`,
		} {
			if !regexp.MustCompile(want).Match(out) {
				t.Errorf("%q: no %s in\n%s", args, want, out)
			}
		}
		if bytes.ContainsRune(out, '\x1b') {
			t.Errorf("%q: it steers a terminal:\n%q", args, out)
		}
	}
}

// A store that is kept has nothing left to fetch the next time.
func TestKeptRoot(t *testing.T) {
	pull := program(t)
	reg, host := registry(t)
	root := t.TempDir()
	for range 2 {
		if out, err := command(t, pull, "--root", root, host+"/app:1").CombinedOutput(); err != nil || !bytes.Contains(out, []byte("mounted at")) {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if n := strings.Count(strings.Join(reg.Requests(), "\n"), "/blobs/"); n != 3 {
		t.Errorf("%d blobs were asked for: %q", n, reg.Requests())
	}
}

// terminal starts cmd on a terminal of its own and returns what it writes there.
func terminal(t *testing.T, cmd *exec.Cmd) (console.Console, *io.PipeReader) {
	t.Helper()
	con, name, err := console.NewPty()
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := con.Resize(console.WinSize{Width: 100, Height: 30}); err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := io.Copy(w, con)
		w.CloseWithError(err)
	}()
	t.Cleanup(func() { r.Close(); con.Close(); <-done })
	return con, r
}

// readUntil reads until it has seen text.
func readUntil(t *testing.T, r io.Reader, text string) string {
	t.Helper()
	var all strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(all.String(), text) {
		n, err := r.Read(buf)
		all.Write(buf[:n])
		if err != nil {
			t.Fatalf("%q never came: %v after\n%s", text, err, &all)
		}
	}
	return all.String()
}

// On a terminal it shows a bar for each layer, and the root stays mounted until
// Ctrl-C.
func TestTerminal(t *testing.T) {
	pull := program(t)
	_, host := registry(t)
	cmd := command(t, pull, host+"/app:1")
	con, r := terminal(t, cmd)
	said := readUntil(t, r, "Ctrl-C takes it away\r\n")
	if n := len(regexp.MustCompile(`[0-9a-f]{12} +done +\[=+\] +(\S+ KiB) / \S+ KiB`).FindAllString(said, -1)); n < 2 {
		t.Errorf("%d full bars in\n%s", n, said)
	}
	m := regexp.MustCompile(`mounted at (/\S+): "layer0/" "layer1/"`).FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("not mounted:\n%s", said)
	}
	if _, err := os.Stat(filepath.Join(m[1], "layer1")); err != nil {
		t.Error(err)
	}
	if _, err := con.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, r)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(m[1]); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}

// Ctrl-C in the middle of a pull, and a pull that fails, end the bars and leave
// nothing.
func TestTerminalBreaksOff(t *testing.T) {
	pull := program(t)
	for name, c := range map[string]struct {
		fault imagetest.Fault
		keys  string
		want  string
	}{
		"Ctrl-C": {imagetest.Stall(1000), "\x03", "pull: interrupted\r\n"},
		"fails":  {imagetest.Corrupt(), "", "digest mismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			reg, host := registry(t)
			built, err := imagetest.Random(3, 2, 300_000).Build()
			if err != nil {
				t.Fatal(err)
			}
			reg.On(built.Layers[1].Digest.String(), c.fault)
			cmd := command(t, pull, host+"/app:1")
			con, r := terminal(t, cmd)
			if c.keys != "" {
				readUntil(t, r, "fetching")
				if _, err := con.Write([]byte(c.keys)); err != nil {
					t.Fatal(err)
				}
			}
			said := readUntil(t, r, c.want)
			_, _ = io.Copy(io.Discard, r)
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("ended with %d:\n%s", code, said)
			}
		})
	}
}
