package cgroups

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// victims are what a kill waits for: pidfds become readable when their process
// ends, an events file has news when a v2 cgroup is empty.
type victims struct {
	ends   []int // pidfds
	events []int // descriptors of cgroup.events
}

// maxVictims bounds the descriptors that one round opens.
const maxVictims = 500

func (v *victims) close() {
	for _, fd := range append(v.ends, v.events...) {
		unix.Close(fd)
	}
}

// kill sends SIGKILL to every process in the trees. Those that it does not reach
// (more than maxVictims, new children) are left to the next round.
func (m *Manager) kill(p string, dirs []string) (*victims, error) {
	v := &victims{}
	list, hidden, err := m.targets(dirs)
	if err != nil {
		return v, err
	}
	err = effectKill.Do(func() error {
		for _, dir := range dirs {
			if err := m.killTree(dir, v); err != nil {
				return err
			}
		}
		m.stopForks(p)
		return v.killEach(list, dirs)
	})
	if err == nil && len(list) == 0 && hidden > 0 && len(v.events) == 0 {
		err = fmt.Errorf("%d processes of another PID namespace are in it, and this kernel has no cgroup.kill", hidden)
	}
	return v, err
}

// targets lists the processes to kill and makes sure that we are not among them.
func (m *Manager) targets(dirs []string) (list []int, hidden int, err error) {
	for _, dir := range dirs {
		l, h, err := processes(dir)
		if err != nil {
			return nil, 0, err
		}
		list, hidden = append(list, l...), hidden+h
	}
	slices.Sort(list)
	list = slices.Compact(list)
	for _, pid := range []int{1, os.Getpid()} {
		if slices.Contains(list, pid) {
			return nil, 0, fmt.Errorf("process %d, which is this one or the system's first, is in it", pid)
		}
	}
	return list, hidden, nil
}

// killTree uses cgroup.kill where the kernel has it. It hits forks in flight too,
// so that the cgroup's becoming empty can be waited for.
func (m *Manager) killTree(dir string, v *victims) error {
	if !exists(filepath.Join(dir, "cgroup.events")) {
		return nil // v1
	}
	fd, err := retry(func() (int, error) {
		return unix.Open(filepath.Join(dir, "cgroup.events"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		if gone(err) {
			return nil
		}
		return err
	}
	switch err := writeFile(dir, "cgroup.kill", "1"); {
	case err == nil:
		v.events = append(v.events, fd)
		return nil
	case gone(err), errors.Is(err, unix.EOPNOTSUPP): // an old kernel, a threaded cgroup
		return unix.Close(fd)
	default:
		unix.Close(fd)
		return err
	}
}

// stopForks readies a v1 tree to die: no new children, and frozen processes run
// again, since they die only when they run. Both are best effort: without them
// it takes more rounds, or the freezer is not in use.
func (m *Manager) stopForks(p string) {
	if h := m.find("pids"); h != nil && !h.unified {
		_ = writeFile(h.path(p), "pids.max", "0")
	}
	if h := m.find("freezer"); h != nil && !h.unified {
		thaw(h.path(p))
	}
}

func thaw(dir string) {
	if writeFile(dir, "freezer.state", "THAWED") != nil {
		return
	}
	below, _ := children(dir)
	for _, c := range below {
		thaw(filepath.Join(dir, c))
	}
}

// killEach kills by pidfd: a number that was reused since it was listed is not
// hit, as each is looked for again once it is held.
func (v *victims) killEach(list []int, dirs []string) error {
	held := map[int]int{}
	for _, pid := range list[:min(len(list), maxVictims)] {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
				continue // ended, or a thread
			}
			return fmt.Errorf("hold process %d: %w", pid, err)
		}
		held[pid] = fd
		v.ends = append(v.ends, fd)
	}
	var still []int
	for _, dir := range dirs {
		l, _, err := processes(dir)
		if err != nil {
			return err
		}
		still = append(still, l...)
	}
	for pid, fd := range held {
		if !slices.Contains(still, pid) {
			continue
		}
		if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill process %d: %w", pid, err)
		}
	}
	return nil
}

// wait returns when all that was killed has ended, and after pause when the
// kernel has nothing to wait for.
func (v *victims) wait(ctx context.Context, pause time.Duration) error {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return err
	}
	defer unix.Close(wake)
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_, _ = unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
	defer func() {
		if !stop() {
			<-woken // it must not write to a descriptor that is closed
		}
	}()
	for waited := false; ; waited = true {
		waiting := v.waiting()
		switch {
		case len(waiting) == 0 && waited:
			return nil
		case len(waiting) == 0:
			return sleep(wake, pause)
		}
		fds := append([]unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}}, waiting...)
		if _, err := retry(func() (int, error) { return unix.Poll(fds, -1) }); err != nil {
			return err
		}
		if fds[0].Revents != 0 {
			return ctx.Err()
		}
		v.forget(fds[1:])
	}
}

// sleep waits a little for what has no event, or until wake.
func sleep(wake int, pause time.Duration) error {
	_, err := retry(func() (int, error) {
		return unix.Poll([]unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}}, int(pause.Milliseconds()))
	})
	return err
}

func (v *victims) waiting() []unix.PollFd {
	var fds []unix.PollFd
	for _, fd := range v.ends {
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	for _, fd := range v.events {
		if populated(fd) {
			fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLPRI})
		}
	}
	return fds
}

// forget drops the processes that ended; what a cgroup is empty of is asked
// anew.
func (v *victims) forget(fds []unix.PollFd) {
	for _, fd := range fds {
		if i := slices.Index(v.ends, int(fd.Fd)); i >= 0 && fd.Revents != 0 {
			unix.Close(v.ends[i])
			v.ends = slices.Delete(v.ends, i, i+1)
		}
	}
}

// populated reads a cgroup.events descriptor, which also rearms its poll.
func populated(fd int) bool {
	buf := make([]byte, 256)
	n, err := retry(func() (int, error) { return unix.Pread(fd, buf, 0) })
	return err == nil && strings.Contains(string(buf[:n]), "populated 1")
}
