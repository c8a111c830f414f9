//go:build cgo

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/manager"
	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container/runc/internal/mounts"
	"github.com/lifepod/lifepod/container/seccomp"
)

// libBox is libcontainer's.
type libBox struct {
	c      *ctr
	config *configs.Config
	filter func() (seccomp.Filter, error)
	plan   *mounts.Plan            // of the mounts that libcontainer does not make
	lc     *libcontainer.Container // nil unless it made something
}

func newLibBox(c *ctr, spec *specs.Spec, old bool) (box, cgroups.Manager, error) {
	b := &libBox{c: c, filter: filterOf(spec.Linux.Seccomp)}
	if old {
		if lc, err := libcontainer.Load(c.s.libRoot(), c.id); err == nil {
			state, err := lc.State()
			if err != nil {
				return nil, nil, err
			}
			b.lc = lc
			cg, err := manager.NewWithPaths(state.Config.Cgroups, state.CgroupPaths)
			return b, cg, err
		}
	}
	var err error
	if _, err = b.filter(); err != nil && !old {
		return nil, nil, err
	}
	if b.config, err = c.s.toConfig(c.id, spec); err != nil && old {
		return b, nil, nil // it was refused then too: nothing was made
	}
	if err != nil {
		return nil, nil, err
	}
	cg, err := manager.New(b.config.Cgroups)
	if err != nil {
		return nil, nil, fmt.Errorf("set up cgroup: %w", err)
	}
	return b, cg, nil
}

func (b *libBox) start(spec *specs.Process, first bool, files [3]*os.File) (child, int, error) {
	p, err := b.c.s.toProcess(spec)
	if err != nil {
		return nil, -1, err
	}
	p.Init = first
	var con *console
	if spec.Terminal {
		if con, err = newConsole(); err != nil {
			return nil, -1, err
		}
		defer con.parent.Close()
		defer con.child.Close()
		p.ConsoleSocket = con.child
	} else {
		setStreams(p, files)
	}
	if first {
		b.plan = mounts.Take(b.config)
		if b.lc, err = libcontainer.Create(b.c.s.libRoot(), b.c.id, b.config); err != nil {
			return nil, -1, err
		}
	}
	master, err := b.run(p, con)
	if text, ok := libProgramError(err, spec.Args[0], first); ok {
		return nil, -1, &programError{text}
	}
	if err != nil && (libChild{p}).pid() > 0 {
		libChild{p}.kill()
		libChild{p}.wait()
	}
	return libChild{p}, master, err
}

func (b *libBox) run(p *libcontainer.Process, con *console) (master int, err error) {
	effect := effectExec
	if p.Init {
		effect = effectInit
	}
	if err := effect.Do(func() error { return b.startProcess(p) }); err != nil || con == nil {
		return -1, err
	}
	return con.receive()
}

// startMounted has init make the mounts of the plan, if there is one.
func (b *libBox) startMounted(p *libcontainer.Process) error {
	if !p.Init || b.plan == nil {
		return b.lc.Start(p)
	}
	h, err := b.plan.HandOver()
	if err != nil {
		return err
	}
	defer h.Close()
	p.ExtraFiles = append(p.ExtraFiles, h.File())
	return h.Check(b.lc.Start(p))
}

// setStreams leaves out what is nil: an interface is not.
func setStreams(p *libcontainer.Process, files [3]*os.File) {
	if files[0] != nil {
		p.Stdin = files[0]
	}
	p.Stdout, p.Stderr = files[1], files[2]
}

// libChild is a process of libcontainer's.
type libChild struct{ p *libcontainer.Process }

func (k libChild) pid() int {
	pid, err := k.p.Pid()
	if err != nil {
		return 0
	}
	return pid
}
func (k libChild) kill() { _ = k.p.Signal(unix.SIGKILL) }
func (k libChild) wait() { _, _ = k.p.Wait() }

func (b *libBox) execFIFO() string { return filepath.Join(b.c.s.libRoot(), b.c.id, "exec.fifo") }

// letGo opens the FIFO whose other end the container's process waits to open.
// It must stay open until the process has gone on.
func (b *libBox) letGo() (done func(), err error) {
	fd, err := unix.Open(b.execFIFO(), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", b.execFIFO(), err)
	}
	return func() {
		unix.Close(fd)
		_ = os.Remove(b.execFIFO())
	}, nil
}

func (b *libBox) update(r *specs.LinuxResources) error {
	if b.lc == nil {
		return errors.New("it has no process")
	}
	config := b.lc.Config()
	cg := *config.Cgroups
	cg.Resources = change(config.Cgroups.Resources, r)
	config.Cgroups = &cg
	return b.lc.Set(config)
}

func (b *libBox) destroy() error {
	if b.lc != nil {
		if err := b.c.s.reap.during(b.lc.Destroy); err != nil {
			return err
		}
		b.lc = nil
	} else if b.c.cgroup != nil {
		if err := b.c.cgroup.Destroy(); err != nil {
			return err
		}
	}
	return os.RemoveAll(filepath.Join(b.c.s.libRoot(), b.c.id))
}

// libProgramError tells whether libcontainer's err is about the program itself,
// which it looks for before we ask to execute it.
func libProgramError(err error, program string, first bool) (text string, ok bool) {
	if err == nil {
		return "", false
	}
	what := "exec: " + strconv.Quote(program) + ": "
	where := what
	if first {
		where = "error during container init: " + what
	}
	_, rest, ok := strings.Cut(err.Error(), where)
	text, _, _ = strings.Cut(rest, "\n")
	return what + text, ok
}
