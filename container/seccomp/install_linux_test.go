package seccomp

import (
	"runtime"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The kernel takes our programs, and obeys them. The thread that is confined
// ends with its goroutine.
func TestInstall(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	number := uint(77)
	f, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: someArchs, Syscalls: []specs.LinuxSyscall{
		{Names: []string{"getppid"}, Action: specs.ActErrno, ErrnoRet: &number},
		{Names: []string{"kill"}, Action: specs.ActErrno, ErrnoRet: &number, Args: []specs.LinuxSeccompArg{
			{Index: 0, Op: specs.OpEqualTo, Value: 1 << 40}, {Index: 1, Op: specs.OpLessThan, Value: 1000}}},
	}}, runtime.GOARCH)
	if err != nil {
		t.Skip(err)
	}
	got := make(chan []unix.Errno)
	go func() {
		runtime.LockOSThread() // never unlocked
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			t.Error(err)
		}
		if err := f.Install(); err != nil {
			t.Error(err)
		}
		var all []unix.Errno
		for _, c := range [][3]uintptr{{unix.SYS_GETPPID}, {unix.SYS_GETPID}, {unix.SYS_KILL, 1 << 40, 999}, {unix.SYS_KILL, 1 << 40, 1000}} {
			_, _, errno := unix.RawSyscall(c[0], c[1], c[2], 0)
			all = append(all, errno)
		}
		got <- all
	}()
	all := <-got
	if want := []unix.Errno{77, 0, 77, unix.EINVAL}; len(all) != 4 || all[0] != want[0] || all[1] != want[1] || all[2] != want[2] || all[3] != want[3] {
		t.Errorf("calls gave %v, want %v", all, want)
	}
}
