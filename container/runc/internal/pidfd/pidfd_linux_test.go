package pidfd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// start starts sh and returns a pidfd of it.
func start(t *testing.T, script string) (cmd *exec.Cmd, fd int, st Stat) {
	t.Helper()
	cmd = exec.Command("sh", "-c", script)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	st, err := ReadStat(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if fd, err = Open(cmd.Process.Pid, st.StartTime); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, fd, st
}

func await(t *testing.T, fd int) {
	t.Helper()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20000); n != 1 {
		t.Fatalf("it does not end: %v", err)
	}
}

func TestPeekLeavesTheChild(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "exit 255": 255, "kill -9 $$": 137, "kill -6 $$": 134} {
		cmd, fd, first := start(t, script)
		await(t, fd)
		for range 2 {
			if s, err := Peek(fd); err != nil || Code(s) != want {
				t.Errorf("%s: peek says %d, %v, want %d", script, Code(s), err, want)
			}
		}
		if st, err := ReadStat(cmd.Process.Pid); err != nil || !st.Dead() || Code(st.Status) != want || st.StartTime != first.StartTime {
			t.Errorf("%s: stat says %+v, %v", script, st, err)
		}
		_ = cmd.Wait()
		if got := cmd.ProcessState.Sys().(syscall.WaitStatus); got.Exited() && got.ExitStatus() != want {
			t.Errorf("%s: wait says %d", script, got.ExitStatus())
		}
	}
}

func TestEndedAfterReaping(t *testing.T) {
	cmd, fd, st := start(t, "exit 9")
	_ = cmd.Wait()
	s, err := Ended(fd, cmd.Process.Pid, st.StartTime)
	if err == nil && Code(s) != 9 || err != nil && !errors.Is(err, ErrUnknown) {
		t.Errorf("%d, %v", Code(s), err)
	}
	if err := Signal(fd, unix.SIGKILL); err != nil {
		t.Errorf("signal a process that is gone: %v", err)
	}
	if _, err := Open(cmd.Process.Pid, st.StartTime); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("open a process that is gone: %v", err)
	}
}

func TestOpenAnother(t *testing.T) {
	if _, err := Open(os.Getpid(), 1); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a process with another start time was opened: %v", err)
	}
}

func FuzzParseStat(f *testing.F) {
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Add("1 (a) b) (c) S 1")
	f.Fuzz(func(t *testing.T, s string) { _, _ = parseStat(s) })
}

func TestParseStatNames(t *testing.T) {
	tail := " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 256"
	for _, name := range []string{"sh", "a b", "x) y", "runc:[2:INIT]", ""} {
		st, err := parseStat("42 (" + name + ")" + tail)
		if err != nil || st.Name != name || st.StartTime != 777 || Code(st.Status) != 1 {
			t.Errorf("%q: %+v, %v", name, st, err)
		}
	}
}

func ExampleCode() {
	fmt.Println(Code(unix.WaitStatus(3<<8)), Code(unix.WaitStatus(unix.SIGKILL)))
	// Output: 3 137
}
