package testutil

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// waiterEnv makes the test's own program a process that waits as it says.
const waiterEnv = "TESTUTIL_WAITER"

func TestMain(m *testing.M) {
	if name := os.Getenv(waiterEnv); name != "" {
		runtime.LockOSThread()
		for {
			waiters[name].do()
		}
	}
	os.Exit(m.Run())
}

// tenSeconds is what waiters below wait for when they wait for something short.
func tenSeconds() *unix.Timespec { return &unix.Timespec{Sec: 10} }

// waiters are ways to wait: as what each is seen, and whether that is short.
var waiters = map[string]struct {
	do    func()
	in    string
	short bool
}{
	"spin":      {func() {}, "no system call: running", true},
	"nanosleep": {func() { _ = unix.Nanosleep(tenSeconds(), nil) }, "10s in nanosleep", true},
	"nanosleep for a minute": {func() {
		_ = unix.Nanosleep(&unix.Timespec{Sec: 60}, nil)
	}, "nanosleep", false},
	"clock_nanosleep": {func() {
		_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, tenSeconds(), nil)
	}, "10s in clock_nanosleep", true},
	"clock_nanosleep until": {func() {
		_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &unix.Timespec{Sec: 1 << 40}, nil)
	}, "0s in clock_nanosleep", true},
	"ppoll":                    {func() { _, _ = unix.Ppoll(nil, tenSeconds(), nil) }, "10s in ppoll", true},
	"ppoll for ever":           {func() { _, _ = unix.Ppoll(nil, nil, nil) }, "ppoll", false},
	"pselect6":                 {func() { _, _ = unix.Pselect(0, nil, nil, nil, tenSeconds(), nil) }, "10s in pselect6", true},
	"pselect6 for ever":        {func() { _, _ = unix.Pselect(0, nil, nil, nil, nil, nil) }, "pselect6", false},
	"futex":                    {func() { waitFutex(0, tenSeconds()) }, "10s in futex", true},
	"futex until":              {func() { waitFutex(9, &unix.Timespec{Sec: 1 << 40}) }, "0s in futex", true},
	"futex for ever":           {func() { waitFutex(9, nil) }, "futex", false},
	"rt_sigtimedwait":          {func() { waitSignal(tenSeconds()) }, "10s in rt_sigtimedwait", true},
	"rt_sigtimedwait for ever": {func() { waitSignal(nil) }, "rt_sigtimedwait", false},
	"epoll_pwait":              {func() { waitEpoll(unix.SYS_EPOLL_PWAIT, 10_000) }, "10s in epoll_pwait", true},
	"epoll_pwait for ever":     {func() { waitEpoll(unix.SYS_EPOLL_PWAIT, ^uintptr(0)) }, "epoll_pwait", false},
	"epoll_pwait2": {func() {
		ts := tenSeconds()
		waitEpoll(unix.SYS_EPOLL_PWAIT2, uintptr(unsafe.Pointer(ts)))
		runtime.KeepAlive(ts)
	}, "10s in epoll_pwait2", true},
	"epoll_pwait2 for ever": {func() { waitEpoll(unix.SYS_EPOLL_PWAIT2, 0) }, "epoll_pwait2", false},
	"read":                  {waitPipe, "read", false},
	"timerfd":               {func() { waitTimerfd(unix.ItimerSpec{Value: *tenSeconds()}) }, " in timerfd", true},
	"timerfd that repeats": {func() {
		waitTimerfd(unix.ItimerSpec{Value: unix.Timespec{Sec: 60}, Interval: *tenSeconds()})
	}, " in timerfd", true},
	"timerfd, not armed": {func() { waitTimerfd(unix.ItimerSpec{}) }, "read", false},
	"POSIX timer":        {waitTimer, " in POSIX timer", true},
}

func waitFutex(op uintptr, ts *unix.Timespec) {
	var word uint32
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&word)), op, 0, uintptr(unsafe.Pointer(ts)), 0, 1)
}

func waitSignal(ts *unix.Timespec) {
	set := uint64(1) << (unix.SIGUSR1 - 1)
	_, _, _ = unix.Syscall6(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), 0, uintptr(unsafe.Pointer(ts)), 8, 0, 0)
}

func waitEpoll(call, timeout uintptr) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		panic(err)
	}
	defer unix.Close(fd)
	var event unix.EpollEvent
	_, _, _ = unix.Syscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&event)), 1, timeout, 0, 0)
}

// waitPipe waits for what nobody writes.
func waitPipe() {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		panic(err)
	}
	_, _ = unix.Read(fds[0], make([]byte, 1))
}

func waitTimerfd(spec unix.ItimerSpec) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
	if err == nil {
		err = unix.TimerfdSettime(fd, 0, &spec, nil)
	}
	if err != nil {
		panic(err)
	}
	waitPipe()
}

// waitTimer makes a timer that signals nobody (timer_create(2)).
func waitTimer() {
	event := struct {
		value        uintptr
		signo, notes int32
		_            [48]byte
	}{notes: 1} // SIGEV_NONE
	var id int32
	_, _, errno := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC,
		uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&id)))
	if errno != 0 {
		panic(errno)
	}
	waitPipe()
}

// startWaiter begins a process that waits, and ends it with the test.
func startWaiter(t *testing.T, name string) *os.Process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), waiterEnv+"="+name)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process
}

// await looks at a process until it is as it should be.
func await(t *testing.T, p *os.Process, as func(all []wait, short []string) bool) {
	t.Helper()
	end := time.Now().Add(time.Minute)
	for {
		all, err := waitsOf(p.Pid)
		if err != nil {
			t.Fatal(err)
		}
		short, err := ShortWaits(p.Pid, 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if as(all, short) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it waits so: %v; short are %v", all, short)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Every way to wait for less than 30 s is found, and none of the others.
func TestShortWaitsAreFound(t *testing.T) {
	for name, w := range waiters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			await(t, startWaiter(t, name), func(all []wait, short []string) bool {
				if w.short {
					return slices.ContainsFunc(short, func(s string) bool { return strings.Contains(s, w.in) })
				}
				return len(short) == 0 && slices.ContainsFunc(all, func(a wait) bool { return a.in == w.in })
			})
		})
	}
}

// A wait that goes on after a stop no longer says for how long: it counts as short.
func TestWaitOfUnknownLengthIsShort(t *testing.T) {
	p := startWaiter(t, "nanosleep for a minute")
	await(t, p, func(all []wait, short []string) bool {
		return len(short) == 0 && slices.ContainsFunc(all, func(a wait) bool { return a.in == "nanosleep" })
	})
	if err := p.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Wait4(p.Pid, nil, unix.WUNTRACED, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await(t, p, func(_ []wait, short []string) bool {
		in := " in system call " + strconv.Itoa(unix.SYS_RESTART_SYSCALL)
		return slices.ContainsFunc(short, func(s string) bool { return strings.HasSuffix(s, in) })
	})
}
