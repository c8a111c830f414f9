package supervisor

import (
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container/runc/internal/pidfd"
)

// reaper takes away orphans: processes of containers without a PID namespace of
// their own, whose parents died. It must not take those that libcontainer or a
// container's own exit handling waits for.
type reaper struct {
	mu       sync.Mutex
	starting int // libcontainer has children of its own that we do not know
	owned    map[int]bool
	signals  chan os.Signal
}

func newReaper() *reaper {
	r := &reaper{owned: map[int]bool{}, signals: make(chan os.Signal, 1)}
	signal.Notify(r.signals, unix.SIGCHLD)
	return r
}

func (r *reaper) run() {
	for {
		r.mu.Lock()
		r.reap()
		r.mu.Unlock()
		if _, ok := <-r.signals; !ok {
			return
		}
	}
}

// own says that pid, which is our child, is waited for by others.
func (r *reaper) own(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owned[pid] = true
}

// start lets f make children. Those whose pids f returns are waited for by
// others, until release.
func (r *reaper) start(f func() (pid int, err error)) (int, error) {
	r.mu.Lock()
	r.starting++
	r.mu.Unlock()
	pid, err := f()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.owned[pid] = true
	}
	r.starting--
	r.reap()
	return pid, err
}

// during lets f make children and wait for them.
func (r *reaper) during(f func() error) error {
	r.mu.Lock()
	r.starting++
	r.mu.Unlock()
	err := f()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starting--
	r.reap()
	return err
}

// release says that pid was reaped.
func (r *reaper) release(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.owned, pid)
	r.reap() // an owned zombie hides those behind it
}

func (r *reaper) reap() {
	for r.starting == 0 {
		pid := pidfd.NextZombie()
		if pid == 0 || r.owned[pid] {
			return
		}
		pidfd.Reap(pid)
	}
}
