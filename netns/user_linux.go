package netns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/lifepod/lifepod/internal/sys"
	"golang.org/x/sys/unix"
)

var effectFork = sys.NewEffect("netns/fork")

// cloned makes namespaces that belong to a new user namespace. A process with
// several threads cannot unshare that, so a child is cloned into them; being
// traced, it stops before its first instruction and is killed there.
func cloned(p Pins, kinds Kinds, o Options) error {
	return sys.OnOwnThread(func() error { // the thread that starts a tracee is its tracer
		child, err := stopped(kinds, o)
		if err != nil {
			return err
		}
		defer end(child)
		from := "/proc/" + strconv.Itoa(child.Process.Pid) + "/ns/"
		if err := join(from, kinds&^User); err != nil {
			return err
		}
		if err := inside(kinds, o); err != nil {
			return err
		}
		return pin(p, kinds, from)
	})
}

func stopped(kinds Kinds, o Options) (*exec.Cmd, error) {
	var mask uintptr
	for k, f := range flags {
		if kinds&k != 0 {
			mask |= uintptr(f)
		}
	}
	c := exec.CommandContext(context.Background(), "/proc/self/exe") // never runs: it is stopped at its exec
	c.Env = []string{}
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: mask, Ptrace: true, Pdeathsig: syscall.SIGKILL,
		UidMappings: sysMap(o.UIDs), GidMappings: sysMap(o.GIDs), GidMappingsEnableSetgroups: true,
	}
	if err := effectFork.Do(c.Start); err != nil {
		if c.Process != nil {
			end(c)
		}
		return nil, fmt.Errorf("clone into a user namespace (uids %v, gids %v): %w", o.UIDs, o.GIDs, err)
	}
	return c, nil
}

func end(c *exec.Cmd) {
	_ = c.Process.Kill()
	var ws unix.WaitStatus
	for { // a traced child reports its stop before its end
		_, err := unix.Wait4(c.Process.Pid, &ws, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) || err == nil && !ws.Exited() && !ws.Signaled() {
			continue
		}
		break
	}
	_ = c.Process.Release()
}

// join moves the thread into the child's namespaces but the user's: as an
// ancestor it keeps its rights over them.
func join(from string, kinds Kinds) error {
	for _, f := range files {
		if kinds&f.kind == 0 {
			continue
		}
		ns, err := os.Open(from + f.name)
		if err != nil {
			return err
		}
		err = unix.Setns(int(ns.Fd()), flags[f.kind])
		ns.Close()
		if err != nil {
			return fmt.Errorf("enter the new %s namespace: %w", f.name, err)
		}
	}
	return nil
}

func sysMap(maps []IDMap) []syscall.SysProcIDMap {
	var s []syscall.SysProcIDMap
	for _, m := range maps {
		s = append(s, syscall.SysProcIDMap{ContainerID: int(m.Inside), HostID: int(m.Outside), Size: int(m.Size)})
	}
	return s
}

// asRootOf runs f with the effective user that is root inside: the kernel lets
// only that one write the sysctls of an IPC namespace. Only this thread changes,
// but the kernel marks the whole process as not dumpable, which is put back.
func asRootOf(uids []IDMap, f func() error) error {
	root := uint32(0)
	for _, m := range uids {
		if m.Inside == 0 {
			root = m.Outside
		}
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		return os.NewSyscallError("prctl", err)
	}
	me := unix.Geteuid()
	if err := setEuid(int(root)); err != nil {
		return err
	}
	err = f()
	if back := setEuid(me); back != nil {
		return errors.Join(err, back)
	}
	if dumpable == 1 {
		err = errors.Join(err, os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)))
	}
	return err
}

// setEuid is the bare system call: the library's would change all threads.
func setEuid(uid int) error {
	const keep = ^uintptr(0)
	if _, _, no := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(uid), keep); no != 0 {
		return os.NewSyscallError("setresuid", no)
	}
	return nil
}
