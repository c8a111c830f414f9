package testutil

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ShortWaits lists what makes the process pid act again by itself before least has
// passed, one line each: threads that run, or wait in a system call that ends
// sooner, or in one of which it is not known here for how long; timerfds; POSIX
// timers, whose times cannot be seen. Interval timers (setitimer) are seen by no
// other process. A Go program's timers are all in one thread's wait; so look from
// another process, since a thread that looks need not leave one to do so.
func ShortWaits(pid int, least time.Duration) ([]string, error) {
	threads, err := waitsOf(pid)
	if err != nil {
		return nil, err
	}
	timers, err := timersOf(pid)
	if err != nil {
		return nil, err
	}
	var short []string
	for _, w := range append(threads, timers...) {
		if w.bound < least {
			short = append(short, w.String())
		}
	}
	return short, nil
}

// wait is something that ends by itself after bound, at the latest.
type wait struct {
	who, in string
	bound   time.Duration
}

const forever = time.Duration(math.MaxInt64)

func (w wait) String() string { return fmt.Sprintf("%s waits %v in %s", w.who, w.bound, w.in) }

// waitsOf tells what each thread of a process waits in.
func waitsOf(pid int) ([]wait, error) {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil {
		return nil, err
	}
	var out []wait
	for _, task := range tasks {
		if text, err := os.ReadFile(task + "/syscall"); err == nil { // else the thread has ended
			w := parseWait(mem, string(text))
			w.who = "thread " + filepath.Base(task)
			out = append(out, w)
		}
	}
	return out, nil
}

// parseWait reads /proc/PID/task/TID/syscall (proc(5)): a system call's number, its
// six arguments, and more.
func parseWait(mem io.ReaderAt, text string) wait {
	text = strings.TrimSpace(text)
	f := strings.Fields(text)
	if len(f) < 7 {
		return wait{in: "no system call: " + text}
	}
	var args [6]uint64
	for i := range args {
		args[i], _ = strconv.ParseUint(strings.TrimPrefix(f[i+1], "0x"), 16, 64)
	}
	nr, err := strconv.Atoi(f[0])
	if call, ok := calls[nr]; ok && err == nil {
		return wait{in: call.name, bound: call.bound(mem, args)}
	}
	return wait{in: "system call " + f[0]}
}

// bound tells after what time a system call ends by itself, from its arguments.
type bound func(mem io.ReaderAt, args [6]uint64) time.Duration

// calls are those of which the bound is known.
var calls = map[int]struct {
	name  string
	bound bound
}{
	unix.SYS_READ:            {"read", unbounded},
	unix.SYS_RECVFROM:        {"recvfrom", unbounded},
	unix.SYS_RECVMSG:         {"recvmsg", unbounded},
	unix.SYS_ACCEPT4:         {"accept4", unbounded},
	unix.SYS_WAIT4:           {"wait4", unbounded},
	unix.SYS_WAITID:          {"waitid", unbounded},
	unix.SYS_FLOCK:           {"flock", unbounded},
	unix.SYS_FUTEX:           {"futex", futex},
	unix.SYS_EPOLL_PWAIT:     {"epoll_pwait", milliseconds(3)},
	unix.SYS_EPOLL_PWAIT2:    {"epoll_pwait2", timespec(3)},
	unix.SYS_PPOLL:           {"ppoll", timespec(2)},
	unix.SYS_PSELECT6:        {"pselect6", timespec(4)},
	unix.SYS_RT_SIGTIMEDWAIT: {"rt_sigtimedwait", timespec(2)},
	unix.SYS_NANOSLEEP:       {"nanosleep", timespec(0)},
	unix.SYS_CLOCK_NANOSLEEP: {"clock_nanosleep", clockNanosleep},
}

func unbounded(io.ReaderAt, [6]uint64) time.Duration { return forever }

// milliseconds are in argument i; less than none are for ever.
func milliseconds(i int) bound {
	return func(_ io.ReaderAt, args [6]uint64) time.Duration {
		if ms := int32(args[i]); ms >= 0 { //nolint:gosec // an int in a register
			return time.Duration(ms) * time.Millisecond
		}
		return forever
	}
}

// timespec is where argument i points to; nowhere is for ever.
func timespec(i int) bound {
	return func(mem io.ReaderAt, args [6]uint64) time.Duration {
		if args[i] == 0 {
			return forever
		}
		var b [16]byte
		if _, err := mem.ReadAt(b[:], int64(args[i])); err != nil { //nolint:gosec // an address
			return 0
		}
		sec, nsec := binary.NativeEndian.Uint64(b[:8]), binary.NativeEndian.Uint64(b[8:])
		return time.Duration(sec)*time.Second + time.Duration(nsec) //nolint:gosec // a timespec
	}
}

// futex is bounded by what is there from now on, with FUTEX_WAIT; other operations
// take a point in time.
func futex(mem io.ReaderAt, args [6]uint64) time.Duration {
	const wait, commands = 0, 0x7f
	if args[3] != 0 && args[1]&commands != wait {
		return 0
	}
	return timespec(3)(mem, args)
}

func clockNanosleep(mem io.ReaderAt, args [6]uint64) time.Duration {
	const absolute = 1 // TIMER_ABSTIME
	if args[1]&absolute != 0 {
		return 0
	}
	return timespec(2)(mem, args)
}

// timersOf lists a process's armed timerfds and all its POSIX timers.
func timersOf(pid int) ([]wait, error) {
	posix, err := os.ReadFile(fmt.Sprintf("/proc/%d/timers", pid))
	if err != nil {
		return nil, err
	}
	var out []wait
	for line := range strings.Lines(string(posix)) {
		if id, ok := strings.CutPrefix(line, "ID:"); ok {
			out = append(out, wait{who: "the process", in: "POSIX timer " + strings.TrimSpace(id)})
		}
	}
	infos, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		return nil, err
	}
	for _, info := range infos {
		text, _ := os.ReadFile(info) // none: it was closed
		if d := parseTimerfd(string(text)); d != forever {
			out = append(out, wait{who: "the process", in: "timerfd " + filepath.Base(info), bound: d})
		}
	}
	return out, nil
}

// parseTimerfd reads what is left and the interval from a timerfd's fdinfo
// (proc(5)), and returns the shorter one.
func parseTimerfd(text string) time.Duration {
	shortest := forever
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		if name != "it_value" && name != "it_interval" {
			continue
		}
		var sec, nsec int64
		_, err := fmt.Sscanf(strings.TrimSpace(value), "(%d, %d)", &sec, &nsec)
		if d := time.Duration(sec)*time.Second + time.Duration(nsec); err != nil || d > 0 {
			shortest = min(shortest, d)
		}
	}
	return shortest
}
