package crilog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/internal/testutil"
)

// fifo makes a FIFO: the pump's end, and one that the container would have.
func fifo(t *testing.T) (src *Source, w *os.File) {
	t.Helper()
	p := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(p, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(p, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if w, err = os.OpenFile(p, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return &Source{Stream: "stdout", Fd: fd}, w
}

func texts(t *testing.T, path string) (all []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		all = append(all, strings.TrimSuffix(line[len("2006-01-02T15:04:05.000000000Z "):], "\n"))
	}
	return all
}

func write(t *testing.T, f *os.File, s string) {
	t.Helper()
	if _, err := f.WriteString(s); err != nil {
		t.Fatal(err)
	}
}

func TestPumpLeavesUnfinishedLines(t *testing.T) {
	src, w := fifo(t)
	path := filepath.Join(t.TempDir(), "dir", "log")
	log, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := NewPump(log, src)
	write(t, w, "one\ntwo\nthr")
	p.carry(false)
	if got := fmt.Sprint(texts(t, path)); got != "[stdout F one stdout F two]" {
		t.Errorf("first %s", got)
	}
	if n, _ := unix.IoctlGetInt(src.Fd, unix.TIOCINQ); n != 3 {
		t.Errorf("%d bytes are left in the FIFO, want 3: they would be lost with us", n)
	}
	write(t, w, "ee\nfour")
	p.Drain()
	if got := fmt.Sprint(texts(t, path)); got != "[stdout F one stdout F two stdout F three stdout P four]" {
		t.Errorf("in the end %s", got)
	}
	p.Drain()
}

// A FIFO in packet mode is full after a few bytes: they must come out though no
// line ends.
func TestPumpFullOfTinyBuffers(t *testing.T) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_DIRECT|unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	path := filepath.Join(t.TempDir(), "log")
	log, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := NewPump(log, &Source{Stream: "stdout", Fd: fds[0]})
	n := 0
	for {
		if _, err := unix.Write(fds[1], []byte("x")); err != nil {
			break
		}
		n++
	}
	p.carry(false)
	if left, _ := unix.IoctlGetInt(fds[0], unix.TIOCINQ); left > 0 && left == n {
		t.Errorf("a full pipe of %d buffers stays full", n)
	}
}

func TestOpenCutsUnfinishedLine(t *testing.T) {
	for in, want := range map[string]string{
		"":            "",
		"whole\n":     "whole\n",
		"whole\nhalf": "whole\n",
		"half":        "",
		strings.Repeat("x", 40000) + "\n" + strings.Repeat("y", 40000): strings.Repeat("x", 40000) + "\n",
	} {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, []byte(in), 0o600); err != nil {
			t.Fatal(err)
		}
		log, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		log.Close()
		if b, _ := os.ReadFile(path); string(b) != want {
			t.Errorf("of %.20q is left %.20q, want %.20q", in, b, want)
		}
	}
	dir := t.TempDir()
	if err := os.Symlink("/etc/passwd", dir+"/log"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir + "/log"); err == nil {
		t.Error("a log that is a symbolic link was opened")
	}
}

// A write that hangs holds the container up for a second, then lines are
// dropped and counted; when it works again, one line tells.
func TestSlowLog(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	log := &File{path: "pipe", f: w}
	big := bytes.Repeat([]byte("0123456789abcde\n"), 16<<10) // more than the pipe holds
	if log.Write(big, 16<<10) {
		t.Fatal("a hanging write gave its buffer back")
	}
	for range 5 {
		if !log.Write([]byte("lost\n"), 1) {
			t.Error("a dropped line kept its buffer")
		}
	}
	if log.Dropped() != 5 || !log.Failing() {
		t.Errorf("%d dropped, failing %v", log.Dropped(), log.Failing())
	}
	got := make(chan []byte)
	go func() {
		var all []byte
		buf := make([]byte, 4096)
		for {
			n, err := r.Read(buf)
			if all = append(all, buf[:n]...); err != nil {
				got <- all
				return
			}
		}
	}()
	for end := time.Now().Add(10 * time.Second); log.Failing() && time.Now().Before(end); time.Sleep(time.Millisecond) {
		log.Probe()
	}
	log.Write([]byte("after\n"), 1)
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	all := string(<-got)
	if strings.Contains(all, "lost") || !strings.Contains(all, "stderr F lifepod: 5 lines of output were dropped") || !strings.HasSuffix(all, "\nafter\n") {
		t.Errorf("the log ends with %q", all[max(0, len(all)-300):])
	}
}

// A full disk: whole lines only, then the rest is dropped, and told when there
// is room.
func TestFullDisk(t *testing.T) {
	testutil.RequireRoot(t)
	dir := t.TempDir()
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{dir}})
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(dir+"/ballast", make([]byte, 40<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := Open(dir + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	src, w := fifo(t)
	p := NewPump(log, src)
	for i := range 3000 {
		write(t, w, fmt.Sprintf("line %d\n", i))
		if i%500 == 0 {
			p.carry(false)
		}
	}
	p.carry(false)
	if log.Dropped() == 0 {
		t.Fatal("nothing was dropped on a full disk")
	}
	if err := os.Remove(dir + "/ballast"); err != nil {
		t.Fatal(err)
	}
	write(t, w, "after\n")
	p.Drain()
	lines := texts(t, dir+"/log")
	told := fmt.Sprintf("stderr F lifepod: %d lines of output were dropped", log.Dropped())
	n := len(lines)
	if n < 2 || lines[n-1] != "stdout F after" || !strings.HasPrefix(lines[n-2], told) {
		t.Errorf("the log ends with %q, want %q and the line after it", lines[max(0, n-3):], told)
	}
	for i, l := range lines[:max(0, n-2)] {
		if l != fmt.Sprintf("stdout F line %d", i) {
			t.Fatalf("line %d is %q", i, l)
		}
	}
	if uint64(n-2)+log.Dropped() != 3000 {
		t.Errorf("%d lines and %d dropped, want 3000", n-2, log.Dropped())
	}
}

func TestTapGetsOutputOnceAndAtOnce(t *testing.T) {
	src, w := fifo(t)
	log, _ := Open("")
	p := NewPump(log, src)
	r, tw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	write(t, w, "before\n")
	p.carry(false)
	src.Tap(tw)
	buf := make([]byte, 100)
	for _, piece := range []string{"promp", "t> ", "yes\nno", "pe\n"} {
		write(t, w, piece)
		p.carry(false)
		if n, err := r.Read(buf); err != nil || string(buf[:n]) != piece {
			t.Errorf("the tap got %q, %v, want %q", buf[:n], err, piece)
		}
	}
	p.Drain()
	if n, err := r.Read(buf); n > 0 || err == nil {
		t.Errorf("after the end the tap got %q, %v", buf[:n], err)
	}
}
