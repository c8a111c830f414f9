//go:build cgo

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/cgroups/manager"
	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/internal/crilog"
	"github.com/lifepod/lifepod/container/runc/internal/pidfd"
	"github.com/lifepod/lifepod/internal/sys"
)

var (
	effectDir  = sys.NewEffect("container/dir")
	effectLog  = sys.NewEffect("container/log")
	effectInit = sys.NewEffect("container/init")
)

// create makes a container up to the moment before its program is executed.
func (s *Supervisor) create(spec container.Spec) error {
	if err := s.check(spec); err != nil {
		return err
	}
	c := s.newCtr(spec)
	c.op.Lock()
	defer c.op.Unlock()
	if !s.reserve(c) {
		return fmt.Errorf("create container %s: %w", c.id, container.ErrExists)
	}
	if err := c.create(spec); err != nil {
		return fmt.Errorf("create container %s: %w", c.id, errors.Join(err, c.remove()))
	}
	s.publish(container.Event{ID: c.id, Kind: container.EventCreated})
	s.hold(c)
	return nil
}

// check refuses what an agent must not ask for.
func (s *Supervisor) check(spec container.Spec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	if spec.Log == "" {
		return nil
	}
	for _, dir := range append([]string{s.cfg.Root, "/var/log/pods"}, s.cfg.LogDirs...) {
		if strings.HasPrefix(spec.Log, filepath.Clean(dir)+"/") {
			return nil
		}
	}
	return fmt.Errorf("log %s lies outside %s, /var/log/pods and Options.LogDirs %q", spec.Log, s.cfg.Root, s.cfg.LogDirs)
}

func (s *Supervisor) newCtr(spec container.Spec) *ctr {
	return &ctr{
		s: s, id: spec.ID, dir: filepath.Join(s.cfg.Containers(), spec.ID),
		process: spec.OCI.Process, filter: filterOf(spec.OCI.Linux.Seccomp), stdinOnce: spec.StdinOnce, sharedPID: sharesPID(spec),
		pidfd: -1, io: newStreams(), exited: make(chan struct{}), told: make(chan struct{}),
		st: container.State{ID: spec.ID, Status: container.Created, CreatedAt: time.Now()},
	}
}

// sharesPID tells that the kernel will not kill what is left when the
// container's first process ends.
func sharesPID(spec container.Spec) bool {
	for _, ns := range spec.OCI.Linux.Namespaces {
		if ns.Type == "pid" {
			return ns.Path != ""
		}
	}
	return true
}

func (c *ctr) create(spec container.Spec) error {
	if err := effectDir.Do(func() error { return os.Mkdir(c.dir, 0o700) }); err != nil {
		return err
	}
	if err := writeJSON(c.dir, specFile, spec); err != nil {
		return err
	}
	if err := c.save(func(r *record) { *r = record{Boot: c.s.boot, Phase: phaseCreating, CreatedAt: c.st.CreatedAt} }); err != nil {
		return err
	}
	if err := effectLog.Do(func() (err error) { c.log, err = crilog.Open(spec.Log); return err }); err != nil {
		return err
	}
	if _, err := c.filter(); err != nil {
		return err
	}
	config, err := c.s.toConfig(c.id, spec.OCI)
	if err != nil {
		return err
	}
	if c.cgroup, err = manager.New(config.Cgroups); err != nil {
		return fmt.Errorf("set up cgroup: %w", err)
	}
	if c.lc, err = libcontainer.Create(c.s.libRoot(), c.id, config); err != nil {
		return err
	}
	err = c.spawn(spec, config)
	if text, ok := programError(err, spec.OCI.Process.Args[0]); ok {
		return c.createBroken(text)
	}
	return err
}

// spawn makes the container's process, which waits before its program.
func (c *ctr) spawn(spec container.Spec, config *configs.Config) error {
	p, err := c.s.toProcess(spec.OCI.Process)
	if err != nil {
		return err
	}
	p.Init = true
	files, console, err := c.stdio(spec, p)
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if err != nil {
		return err
	}
	pid, err := c.s.reap.start(func() (int, error) {
		if err := effectInit.Do(func() error { return c.startProcess(p) }); err != nil {
			return 0, errors.Join(err, killProcess(p))
		}
		return p.Pid()
	})
	if err != nil {
		return err
	}
	c.init = p
	if console != nil {
		master, err := console.receive()
		if err != nil {
			return err
		}
		if err := c.io.terminal(master, c.log); err != nil {
			return err
		}
	}
	return c.adoptProcess(pid)
}

// killProcess ends the process of a start that failed after it.
func killProcess(p *libcontainer.Process) error {
	if _, err := p.Pid(); err != nil {
		return nil // there is none
	}
	_ = p.Signal(unix.SIGKILL)
	_, _ = p.Wait()
	return nil
}

// adoptProcess begins to watch the process that was made.
func (c *ctr) adoptProcess(pid int) error {
	st, err := pidfd.ReadStat(pid)
	if err != nil {
		return err
	}
	if c.pidfd, err = pidfd.Open(pid, st.StartTime); err != nil {
		return err
	}
	if err := c.save(func(r *record) { r.Phase, r.Pid, r.StartTime = phaseCreated, pid, st.StartTime }); err != nil {
		return err
	}
	c.mu.Lock()
	c.st.Pid = pid
	c.mu.Unlock()
	return c.watchProcess()
}

func (c *ctr) watchProcess() error {
	stop, err := c.s.poll.once(c.pidfd, func() { c.s.wg.Go(c.exit) })
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopWatch = stop
	return nil
}

// createBroken keeps a container whose program cannot be executed: starting it
// will say so.
func (c *ctr) createBroken(text string) error {
	if err := c.destroy(); err != nil {
		return err
	}
	c.io.finish(false)
	return c.save(func(r *record) { r.Phase, r.StartErr = phaseCreated, text })
}

// programError tells whether libcontainer's err is about the program itself,
// which it looks for before we ask to execute it.
func programError(err error, program string) (text string, ok bool) {
	if err == nil {
		return "", false
	}
	const where = "error during container init: "
	what := "exec: " + strconv.Quote(program) + ": "
	_, rest, ok := strings.Cut(err.Error(), where+what)
	if !ok {
		return "", false
	}
	first, _, _ := strings.Cut(rest, "\n")
	return what + first, true
}
