//go:build cgo

package supervisor

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/manager"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// programBox is an OCI runtime program's.
type programBox struct {
	c    *ctr
	spec *specs.Spec
	prog program
}

func newProgramBox(c *ctr, runtime []string, spec *specs.Spec) (box, cgroups.Manager, error) {
	b := &programBox{c: c, spec: c.s.clamped(spec), prog: program{args: runtime, root: c.s.libRoot(), hide: c.s.hidesUnified(runtime[0])}}
	b.spec.Version = "1.0.2" // what crun 1.8 takes; later runtimes take it too
	cg, err := manager.New(&cgroups.Cgroup{Path: spec.Linux.CgroupsPath, Resources: &cgroups.Resources{}})
	if err != nil {
		return nil, nil, fmt.Errorf("set up cgroup: %w", err)
	}
	return b, cg, nil
}

func (b *programBox) start(p *specs.Process, first bool, files [3]*os.File) (child, int, error) {
	dir, err := os.MkdirTemp(b.c.dir, "start-")
	if err != nil {
		return nil, -1, err
	}
	defer os.RemoveAll(dir)
	pidFile := filepath.Join(dir, "pid")
	effect, prepare := effectExec, b.prepareExec
	if first {
		effect, prepare = effectInit, b.prepareCreate
	}
	args, err := prepare(dir, p)
	if err != nil {
		return nil, -1, err
	}
	args = append(args, "--pid-file", pidFile)
	var con *consoleSocket
	if p.Terminal {
		if con, err = listenConsole(dir); err != nil {
			return nil, -1, err
		}
		defer con.close()
		args = append(args, "--console-socket", con.path)
		files = [3]*os.File{}
	}
	err = effect.Do(func() error { return b.prog.run(files, nil, append(args, b.c.id)...) })
	k, perr := readPid(pidFile)
	if text, ok := aboutProgram(err, p.Args[0]); ok {
		err = &programError{text}
	}
	master := -1
	if err == nil {
		err = perr
	}
	if err == nil && con != nil {
		master, err = con.receive()
	}
	if err != nil && perr == nil {
		k.kill()
		k.wait()
	}
	return k, master, err
}

// prepareCreate writes the bundle. A runtime may look into it later.
func (b *programBox) prepareCreate(string, *specs.Process) (args []string, err error) {
	bundle := filepath.Join(b.c.dir, "bundle")
	if err := os.Mkdir(bundle, 0o700); err != nil {
		return nil, err
	}
	return []string{"create", "--bundle", bundle}, writeJSON(bundle, "config.json", b.spec)
}

func (b *programBox) prepareExec(dir string, p *specs.Process) (args []string, err error) {
	own := *p
	b.c.s.clamp(&own)
	return []string{"exec", "--detach", "--process", filepath.Join(dir, "process.json")}, writeJSON(dir, "process.json", own)
}

func readPid(file string) (pidChild, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("read the pid that the runtime wrote: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid < 2 {
		return 0, fmt.Errorf("read the pid that the runtime wrote: %q is none", b)
	}
	return pidChild(pid), nil
}

// pidChild is a process that became our child when the program that made it
// ended: we are the subreaper.
type pidChild int

func (k pidChild) pid() int { return int(k) }
func (k pidChild) kill()    { _ = unix.Kill(int(k), unix.SIGKILL) }
func (k pidChild) wait() {
	for {
		if _, err := unix.Wait4(int(k), nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

func (b *programBox) letGo() (done func(), err error) {
	return func() {}, b.during(nil, "start", b.c.id)
}

func (b *programBox) update(r *specs.LinuxResources) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return b.during(strings.NewReader(string(body)), "update", "--resources", "-", b.c.id)
}

func (b *programBox) destroy() error {
	records := filepath.Join(b.c.s.libRoot(), b.c.id)
	if err := b.during(nil, "delete", "--force", b.c.id); err != nil {
		if _, serr := os.Lstat(records); serr == nil { // else it knew of none
			return err
		}
	}
	if err := b.c.cgroup.Destroy(); err != nil {
		return err
	}
	return os.RemoveAll(records)
}

// during runs the program for something that leaves no process.
func (b *programBox) during(stdin io.Reader, args ...string) error {
	return b.c.s.reap.during(func() error { return b.prog.run([3]*os.File{}, stdin, args...) })
}
