package local_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// System calls that a Go program waits in, on amd64, and which argument says for
// how long.
const (
	sysFutex      = 202 // the fourth: a pointer to a timespec
	sysEpollPwait = 281 // the fourth: milliseconds
)

// minWait is the shortest timer that may be armed while nothing happens.
const minWait = 30 * time.Second

// An agent and a supervisor with a pod at rest have no timer armed that is
// shorter than 30 s: their threads all wait in the kernel for longer, or for
// ever.
func TestNoShortTimerAtRest(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("it reads the arguments of amd64's system calls")
	}
	o := options(t)
	task := agentTask{
		Root: o.Root, Run: o.Run, Mirror: o.Images.Client.Mirrors[demoHost], Manifest: one("Always", "[work, /heartbeat]"),
		Gate: filepath.Join(o.Root, "gate"), Stay: true,
	}
	agent := task.command(t)
	var said bytes.Buffer
	agent.Stdout, agent.Stderr = &said, &said
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = agent.Process.Kill()
		_ = agent.Wait()
		n := open(t, o)
		defer n.Close()
		if err := n.Stop(soon(t), "one", nil); err != nil {
			t.Error(err)
		}
	}()
	for range 1000 {
		if _, err := os.Stat(task.Gate); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if _, err := os.Stat(task.Gate); err != nil {
		t.Fatalf("the agent's pod did not become ready: %s", said.String())
	}
	supervisor, err := os.ReadFile(filepath.Join(o.Run, "supervisor.alive"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(supervisor)))
	if err != nil {
		t.Fatal(err)
	}
	atRest(t, "agent", agent.Process.Pid)
	atRest(t, "supervisor", pid)
}

// atRest looks until five looks in a row found only long waits: a start leaves
// things to be tidied, by the Go runtime too.
func atRest(t *testing.T, name string, pid int) {
	t.Helper()
	quiet := 0
	var short []string
	for range 60 {
		if short = shortWaits(pid); len(short) > 0 {
			quiet = 0
		} else if quiet++; quiet == 5 {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Errorf("%s never comes to rest: %s", name, strings.Join(short, ", "))
}

// shortWaits lists the threads that wait for less than minWait, or do not wait.
func shortWaits(pid int) []string {
	var out []string
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, task := range tasks {
		text, err := os.ReadFile(task + "/syscall")
		if err != nil {
			continue // the thread has ended
		}
		f := strings.Fields(string(text))
		if len(f) < 7 {
			out = append(out, filepath.Base(task)+" is "+strings.TrimSpace(string(text)))
			continue
		}
		if d, bounded := timeout(pid, f); bounded && d < minWait {
			out = append(out, fmt.Sprintf("thread %s waits %v in system call %s", filepath.Base(task), d, f[0]))
		}
	}
	return out
}

// timeout reads a wait's bound; a system call that is not known is not bounded.
func timeout(pid int, f []string) (d time.Duration, bounded bool) {
	arg, err := strconv.ParseUint(strings.TrimPrefix(f[4], "0x"), 16, 64)
	if err != nil {
		return 0, false
	}
	switch f[0] {
	case strconv.Itoa(sysEpollPwait):
		ms := int32(arg) //nolint:gosec // an int in a register
		return time.Duration(ms) * time.Millisecond, ms >= 0
	case strconv.Itoa(sysFutex):
		if arg == 0 {
			return 0, false
		}
		mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
		if err != nil {
			return 0, false
		}
		defer mem.Close()
		var b [16]byte
		if _, err := mem.ReadAt(b[:], int64(arg)); err != nil { //nolint:gosec // an address
			return 0, false
		}
		sec, nsec := binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])
		return time.Duration(sec)*time.Second + time.Duration(nsec), true //nolint:gosec // a timespec
	}
	return 0, false
}

// The check itself: a program with a short timer is found.
func TestShortTimerIsFound(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("it reads the arguments of amd64's system calls")
	}
	sleeper := time.NewTimer(10 * time.Second)
	defer sleeper.Stop()
	for range 100 {
		for _, s := range shortWaits(os.Getpid()) {
			if strings.Contains(s, "waits") {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("a timer of 10 s went unnoticed")
}
