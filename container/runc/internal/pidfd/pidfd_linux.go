package pidfd

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrUnknown is for a process of which nobody can say how it ended.
var ErrUnknown = errors.New("the process has ended and its exit code is gone")

// Stat is what the kernel tells of a process.
type Stat struct {
	Name   string
	State  byte
	Parent int
	// StartTime is in clock ticks since boot: with the pid, it is unique.
	StartTime uint64
	// Status is the wait status of a zombie.
	Status unix.WaitStatus
}

// ReadStat reads /proc/pid/stat.
func ReadStat(pid int) (Stat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Stat{}, err
	}
	return parseStat(string(b))
}

func parseStat(text string) (Stat, error) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return Stat{}, fmt.Errorf("parse stat %q", text)
	}
	f := strings.Fields(text[end+1:])
	if len(f) < 50 || len(f[0]) != 1 {
		return Stat{}, fmt.Errorf("parse stat %q: too few fields", text)
	}
	parent, err := strconv.Atoi(f[1])
	if err != nil {
		return Stat{}, fmt.Errorf("parse stat %q: %w", text, err)
	}
	start, err := strconv.ParseUint(f[19], 10, 64)
	if err != nil {
		return Stat{}, fmt.Errorf("parse stat %q: %w", text, err)
	}
	status, err := strconv.ParseUint(f[49], 10, 32)
	if err != nil {
		return Stat{}, fmt.Errorf("parse stat %q: %w", text, err)
	}
	return Stat{Name: text[open+1 : end], State: f[0][0], Parent: parent, StartTime: start, Status: unix.WaitStatus(status)}, nil
}

// Dead tells that the process has ended and waits to be reaped.
func (s Stat) Dead() bool { return s.State == 'Z' || s.State == 'X' }

// Open opens the process pid that began at startTime. It returns
// os.ErrProcessDone for one that is gone.
func Open(pid int, startTime uint64) (int, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return -1, os.ErrProcessDone
	}
	if err != nil {
		return -1, fmt.Errorf("open process %d: %w", pid, err)
	}
	if st, err := ReadStat(pid); err != nil || st.StartTime != startTime {
		unix.Close(fd)
		return -1, os.ErrProcessDone
	}
	return fd, nil
}

// Signal sends a signal. Signalling a process that is gone is not an error.
func Signal(fd int, sig unix.Signal) error {
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && err != unix.ESRCH {
		return fmt.Errorf("send signal %d: %w", sig, err)
	}
	return nil
}

// Code turns a wait status into an exit code: 128+signal for a signal's victim.
func Code(s unix.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}

// Peek tells how our child behind fd ended, and leaves it to be reaped.
func Peek(fd int) (unix.WaitStatus, error) {
	_, status, err := wait(unix.P_PIDFD, fd, unix.WNOWAIT)
	return status, err
}

// NextZombie returns the pid of a child that has ended and not been reaped, or 0.
func NextZombie() int {
	pid, _, err := wait(unix.P_ALL, 0, unix.WNOWAIT)
	if err != nil {
		return 0
	}
	return pid
}

// Reap takes away a child that has ended.
func Reap(pid int) { _, _, _ = wait(unix.P_PID, pid, 0) }

// wait is waitid for children that have ended, without waiting.
func wait(kind, id, options int) (pid int, status unix.WaitStatus, err error) {
	var info unix.Siginfo
	for {
		err = unix.Waitid(kind, id, &info, unix.WEXITED|unix.WNOHANG|options, nil)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return 0, 0, err
	}
	child := (*struct{ pid, uid, status int32 })(unsafe.Add(unsafe.Pointer(&info), 8+unsafe.Sizeof(uintptr(0))))
	if child.pid == 0 {
		return 0, 0, unix.EAGAIN
	}
	const exited, dumped = 1, 3 // CLD_EXITED, CLD_DUMPED
	switch info.Code {
	case exited:
		status = unix.WaitStatus(child.status&0xff) << 8
	case dumped:
		status = unix.WaitStatus(child.status&0x7f | 0x80)
	default:
		status = unix.WaitStatus(child.status & 0x7f)
	}
	return int(child.pid), status, nil
}

// Ended tells how a process that is not our child ended: from /proc while it is
// a zombie, from the pidfd once it is reaped (Linux 6.15). It waits a moment for
// the process's parent to reap it.
func Ended(fd, pid int, startTime uint64) (unix.WaitStatus, error) {
	if status, err := Peek(fd); err == nil {
		return status, nil
	}
	if st, err := ReadStat(pid); err == nil && st.StartTime == startTime && st.Dead() {
		return st.Status, nil
	}
	fds := []unix.PollFd{{Fd: int32(fd), Events: 0}} // POLLHUP comes with the reaping
	_, _ = unix.Poll(fds, 100)
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	if err := unix.IoctlPidfdInfo(fd, &info); err != nil || info.Mask&unix.PIDFD_INFO_EXIT == 0 {
		return 0, ErrUnknown
	}
	return unix.WaitStatus(info.Exit_code), nil
}
