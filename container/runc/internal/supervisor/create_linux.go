//go:build cgo

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/internal/crilog"
	"github.com/lifepod/lifepod/container/runc/internal/pidfd"
	"github.com/lifepod/lifepod/container/runc/internal/wire"
	"github.com/lifepod/lifepod/internal/sys"
)

var (
	effectDir  = sys.NewEffect("container/dir")
	effectLog  = sys.NewEffect("container/log")
	effectInit = sys.NewEffect("container/init")
)

// create makes a container up to the moment before its program is executed, by
// libcontainer or a runtime program. It takes the id at once, so that a Delete which
// is read after this Create finds the container; the function that it returns does
// the rest.
func (s *Supervisor) create(m *wire.Message) func() error {
	var r wire.Create
	err := decode(m, &r)
	if err == nil {
		err = s.check(r.Spec)
	}
	if err == nil && len(r.Runtime) > 0 && !filepath.IsAbs(r.Runtime[0]) {
		err = fmt.Errorf("create container %s: the runtime program %q must be an absolute path", r.Spec.ID, r.Runtime[0])
	}
	if err != nil {
		return func() error { return err }
	}
	c := s.newCtr(r.Spec)
	c.op.Lock()
	if !s.reserve(c) {
		return func() error { return fmt.Errorf("create container %s: %w", c.id, container.ErrExists) }
	}
	return func() error {
		defer c.op.Unlock()
		if err := c.create(r.Spec, r.Runtime); err != nil {
			return fmt.Errorf("create container %s: %w", c.id, errors.Join(err, c.remove()))
		}
		s.publish(container.Event{ID: c.id, Kind: container.EventCreated})
		s.hold(c)
		return nil
	}
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
		process: spec.OCI.Process, stdinOnce: spec.StdinOnce, sharedPID: sharesPID(spec),
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

func (c *ctr) create(spec container.Spec, runtime []string) error {
	if err := effectDir.Do(func() error { return os.Mkdir(c.dir, 0o700) }); err != nil {
		return err
	}
	if err := writeJSON(c.dir, specFile, spec); err != nil {
		return err
	}
	if err := c.save(func(r *record) {
		*r = record{Boot: c.s.boot, Runtime: runtime, Phase: phaseCreating, CreatedAt: c.st.CreatedAt}
	}); err != nil {
		return err
	}
	if err := effectLog.Do(func() (err error) { c.log, err = crilog.Open(spec.Log); return err }); err != nil {
		return err
	}
	if err := c.newBox(runtime, spec.OCI, false); err != nil {
		return err
	}
	ready := c.makeCgroup(runtime)
	err := c.spawn(spec)
	<-ready
	var program *programError
	if errors.As(err, &program) {
		return c.createBroken(program.text)
	}
	return err
}

// spawn makes the container's process, which waits before its program.
func (c *ctr) spawn(spec container.Spec) error {
	var files [3]*os.File
	if !spec.OCI.Process.Terminal {
		var opened []*os.File
		var err error
		files, opened, err = c.stdio(spec)
		defer closeFiles(opened)
		if err != nil {
			return err
		}
	}
	k, master, err := c.startProcess(spec.OCI.Process, true, files)
	if err != nil {
		c.io.discard()
		return err
	}
	c.init = k
	if master >= 0 {
		if err := c.io.terminal(master, c.log); err != nil {
			return err
		}
	}
	return c.adoptProcess(k.pid())
}

// startProcess has the box start a process, which is then ours to reap.
func (c *ctr) startProcess(p *specs.Process, first bool, files [3]*os.File) (k child, master int, err error) {
	_, err = c.s.reap.start(func() (int, error) {
		if k, master, err = c.box.start(p, first, files); err != nil {
			return 0, err
		}
		return k.pid(), nil
	})
	return k, master, err
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
	if err := c.save(func(r *record) { r.Phase, r.Pid, r.StartTime, r.Waiting = phaseCreated, pid, st.StartTime, st.Name }); err != nil {
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
