//go:build linux

package runc_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/internal/supervised"
	"github.com/lifepod/lifepod/container/runc"
)

// supervisor is the pid of the one that lives, waiting for it.
func (p *place) supervisor() int {
	p.t.Helper()
	return supervised.Supervisor(p.t, p.dir)
}

func (p *place) killSupervisor() {
	p.t.Helper()
	supervised.KillSupervisor(p.t, p.dir)
}

// holdBack keeps anyone from starting a supervisor until the result is called.
func (p *place) holdBack() (release func()) {
	p.t.Helper()
	f, err := os.OpenFile(filepath.Join(p.opts.Run, "supervisor.lock"), os.O_RDWR, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		p.t.Fatal(err)
	}
	return func() { f.Close() }
}

func (p *place) start(r *runc.Runtime, id string, args ...string) container.Spec {
	p.t.Helper()
	spec := container.Spec{ID: id, OCI: p.oci(id, append([]string{"/testbox"}, args...)...), Log: filepath.Join(p.dir, "logs", id+".log")}
	p.startSpec(r, spec)
	return spec
}

func (p *place) startSpec(r *runc.Runtime, spec container.Spec) {
	p.t.Helper()
	ctx := context.Background()
	if err := r.Create(ctx, spec); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		last, err := runc.Open(p.opts) // r may be closed by now
		if err != nil {
			p.t.Fatal(err)
		}
		defer last.Close()
		if err := last.Delete(ctx, spec.ID); err != nil {
			p.t.Error(err)
		}
	})
	if err := r.Start(ctx, spec.ID); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) state(r *runc.Runtime, id string) container.State {
	p.t.Helper()
	st, err := r.State(context.Background(), id)
	if err != nil {
		p.t.Fatal(err)
	}
	return st
}

func (p *place) awaitStop(r *runc.Runtime, id string) container.State {
	p.t.Helper()
	return supervised.AwaitStop(p.t, r, id)
}

func (p *place) awaitLog(spec container.Spec, text string) {
	p.t.Helper()
	supervised.AwaitLog(p.t, spec, text)
}

// dead waits until a process that is not our child has ended.
func dead(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20000); n != 1 {
		t.Fatalf("process %d does not end", pid)
	}
}
