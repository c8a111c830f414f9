package cgroups

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/internal/sys"
)

var (
	effectRmdir = sys.NewEffect("cgroups/rmdir")
	effectKill  = sys.NewEffect("cgroups/kill")
)

// Remove kills every process in the cgroup at p and below, and removes it from
// all hierarchies. It returns when nothing is left; that there was nothing is no
// error. A process that cannot die now (it waits for a disk, say) is waited for
// until ctx is done. Remove refuses to kill the calling process.
func (m *Manager) Remove(ctx context.Context, p string) error {
	if err := CheckPath(m.root, p); err != nil {
		return err
	}
	var dirs []string
	for _, h := range m.all {
		if dir := h.path(p); exists(dir) {
			dirs = append(dirs, dir)
		}
	}
	for pause := time.Millisecond; ; pause = min(2*pause, maxPause) {
		if err := ctx.Err(); err != nil {
			return m.leftover(p, dirs, err)
		}
		busy, err := removeAll(dirs)
		if err != nil {
			return fmt.Errorf("remove cgroup %s: %w", p, err)
		}
		if len(busy) == 0 {
			return nil
		}
		dirs = busy
		killed, err := m.kill(p, dirs)
		if err != nil {
			return fmt.Errorf("empty cgroup %s: %w", p, err)
		}
		err = killed.wait(ctx, pause)
		killed.close()
		if err != nil {
			return m.leftover(p, dirs, err)
		}
	}
}

// maxPause bounds the wait for what the kernel does not tell: on v1 a cgroup
// counts a process for a moment after its end was told.
const maxPause = 20 * time.Millisecond

func (m *Manager) leftover(p string, dirs []string, err error) error {
	var alive []int
	for _, dir := range dirs {
		list, _, _ := processes(dir)
		alive = append(alive, list...)
	}
	slices.Sort(alive)
	if alive = slices.Compact(alive); len(alive) > 0 {
		return fmt.Errorf("remove cgroup %s: %w: processes %v are still in it", p, err, alive)
	}
	return fmt.Errorf("remove cgroup %s: %w", p, err)
}

func exists(dir string) bool {
	_, err := os.Lstat(dir)
	return err == nil
}

// removeAll removes the trees and returns those that are busy.
func removeAll(dirs []string) (busy []string, err error) {
	for _, dir := range dirs {
		isBusy, err := removeTree(dir)
		if err != nil {
			return nil, err
		}
		if isBusy {
			busy = append(busy, dir)
		}
	}
	return busy, nil
}

// removeTree removes a cgroup and those below it, bottom up; it is busy while
// one of them has processes.
func removeTree(dir string) (busy bool, err error) {
	switch err := rmdir(dir); {
	case err == nil:
		return false, nil
	case !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOTEMPTY):
		return false, err
	}
	below, err := children(dir)
	if err != nil {
		return false, err
	}
	for _, c := range below {
		b, err := removeTree(filepath.Join(dir, c))
		if err != nil {
			return false, err
		}
		busy = busy || b
	}
	if busy || len(below) == 0 {
		return true, nil
	}
	if err := rmdir(dir); errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOTEMPTY) {
		return true, nil
	} else if err != nil {
		return false, err
	}
	return false, nil
}

func rmdir(dir string) error {
	err := effectRmdir.Do(func() error {
		_, err := retry(func() (int, error) { return 0, unix.Rmdir(dir) })
		return err
	})
	if err == nil || gone(err) {
		return nil
	}
	return &os.PathError{Op: "rmdir", Path: dir, Err: err}
}

// processes lists those in a cgroup and below it, and counts those of other PID
// namespaces, which have no number here.
func processes(dir string) (list []int, hidden int, err error) {
	text, err := readFile(dir, "cgroup.procs")
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) { // a threaded one's are its parent's
		return nil, 0, err
	}
	list, hidden = pids(text)
	below, err := children(dir)
	if err != nil {
		return nil, 0, err
	}
	for _, c := range below {
		l, h, err := processes(filepath.Join(dir, c))
		if err != nil {
			return nil, 0, err
		}
		list, hidden = append(list, l...), hidden+h
	}
	return list, hidden, nil
}
