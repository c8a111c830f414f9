package containertest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/seccomp"
)

// Fake is a runtime in memory. Its zero value works: its containers run until
// they are signalled. It keeps no processes; it writes logs, where specs name
// them. It may be used in a testing/synctest bubble.
type Fake struct {
	// Script is what programs do; it returns the exit code. Nil means to wait
	// for SIGTERM and exit with 143.
	Script func(p *Process) (exitCode int)
	// Check refuses specs at Create. Nil refuses none.
	Check func(container.Spec) error
	// LookPath is asked for the program of a container or exec when it is
	// started; its error becomes a *container.StartError. Nil finds all.
	LookPath func(program string) error

	mu     sync.Mutex
	ctrs   map[string]*fakeCtr
	subs   map[*fakeSub]bool
	starts map[string]int
	pids   int
}

var (
	_ container.Runtime     = (*Fake)(nil)
	_ container.Attacher    = (*Fake)(nil)
	_ container.Updater     = (*Fake)(nil)
	_ container.LogReopener = (*Fake)(nil)
)

// fakeCtr is one container. Its fields are guarded by Fake.mu.
type fakeCtr struct {
	spec    container.Spec
	st      container.State
	memory  int64
	proc    *Process
	log     *fakeLog
	stdin   *io.PipeReader
	stdinW  *io.PipeWriter
	stopped chan struct{}
}

// Starts tells how often a container with this id was started, deleted ones
// included.
func (f *Fake) Starts(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.starts[id]
}

func (f *Fake) get(id string) (*fakeCtr, error) {
	if c := f.ctrs[id]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("container %q: %w", id, container.ErrNotFound)
}

// Create implements container.Runtime.
func (f *Fake) Create(ctx context.Context, s container.Spec) error {
	if err := cmp.Or(ctx.Err(), s.Validate()); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctrs[s.ID] != nil {
		return fmt.Errorf("create container %s: %w", s.ID, container.ErrExists)
	}
	if _, err := seccomp.Compile(s.OCI.Linux.Seccomp, seccomp.Architectures()[0]); err != nil {
		return fmt.Errorf("create container %s: %w", s.ID, err)
	}
	if f.Check != nil {
		if err := f.Check(s); err != nil {
			return fmt.Errorf("create container %s: %w", s.ID, err)
		}
	}
	log, err := newFakeLog(s.Log, s.OCI.Process.Terminal)
	if err != nil {
		return fmt.Errorf("create container %s: %w", s.ID, err)
	}
	f.pids++
	c := &fakeCtr{spec: s, log: log, stopped: make(chan struct{}), memory: memoryLimit(s.OCI.Linux.Resources), st: container.State{
		ID: s.ID, Status: container.Created, Pid: f.pids, CreatedAt: time.Now(),
	}}
	if s.Stdin {
		c.stdin, c.stdinW = io.Pipe()
	}
	if f.ctrs == nil {
		f.ctrs, f.starts = map[string]*fakeCtr{}, map[string]int{}
	}
	f.ctrs[s.ID] = c
	f.tell(container.Event{ID: s.ID, Kind: container.EventCreated})
	return nil
}

func memoryLimit(r *specs.LinuxResources) int64 {
	if r == nil || r.Memory == nil || r.Memory.Limit == nil {
		return 0
	}
	return *r.Memory.Limit
}

// Start implements container.Runtime.
func (f *Fake) Start(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.get(id)
	if err != nil {
		return err
	}
	if c.st.Status != container.Created {
		return fmt.Errorf("start container %s: it is %s: %w", id, c.st.Status, container.ErrState)
	}
	args := c.spec.OCI.Process.Args
	if f.LookPath != nil {
		if err := f.LookPath(args[0]); err != nil {
			f.stop(c, 128)
			return &container.StartError{ID: id, Err: err}
		}
	}
	f.starts[id]++
	c.st.Status, c.st.StartedAt = container.Running, time.Now()
	p := f.process(c, c.spec.OCI.Process)
	p.Stdout, p.Stderr = c.log.writer("stdout"), c.log.writer("stderr")
	if c.stdin != nil {
		p.Stdin = c.stdin
	}
	c.proc = p
	f.tell(container.Event{ID: id, Kind: container.EventStarted})
	go func() {
		code := p.run(f.Script)
		f.mu.Lock()
		defer f.mu.Unlock()
		c.st.OOMKilled = c.st.OOMKilled || p.oom
		f.stop(c, code)
	}()
	return nil
}

// process makes one process of c.
func (f *Fake) process(c *fakeCtr, spec *specs.Process) *Process {
	ctx, kill := context.WithCancel(context.Background())
	p := &Process{
		ID: c.spec.ID, Args: spec.Args, Env: spec.Env, Cwd: spec.Cwd, User: spec.User, TTY: spec.Terminal,
		Seccomp: c.spec.OCI.Linux.Seccomp,
		Stdin:   bytes.NewReader(nil), Signals: make(chan syscall.Signal, 16), Done: ctx.Done(), kill: kill,
		memory: func() int64 { f.mu.Lock(); defer f.mu.Unlock(); return c.memory },
	}
	if b := spec.ConsoleSize; b != nil {
		p.size = container.Size{Width: uint16(b.Width), Height: uint16(b.Height)}
	}
	return p
}

// stop records the end of c, once. f.mu is held.
func (f *Fake) stop(c *fakeCtr, code int) {
	if c.st.Status == container.Stopped {
		return
	}
	c.st.Status, c.st.Pid, c.st.FinishedAt, c.st.ExitCode = container.Stopped, 0, time.Now(), code
	c.log.close()
	if c.stdin != nil {
		c.stdin.Close()
	}
	close(c.stopped)
	f.tell(container.Event{ID: c.st.ID, Kind: container.EventStopped})
}

// Signal implements container.Runtime.
func (f *Fake) Signal(_ context.Context, id string, sig os.Signal) error {
	n, ok := sig.(syscall.Signal)
	if !ok || n < 1 || n > 64 {
		return fmt.Errorf("signal container %s: there is no signal %v", id, sig)
	}
	f.mu.Lock()
	c, err := f.get(id)
	if err != nil {
		f.mu.Unlock()
		return err
	}
	if c.st.Status == container.Created && n == syscall.SIGKILL {
		f.stop(c, 128+int(n))
	}
	p := c.proc
	f.mu.Unlock()
	if p != nil {
		p.signal(n)
	}
	return nil
}

// Delete implements container.Runtime.
func (f *Fake) Delete(ctx context.Context, id string) error {
	if err := f.Signal(ctx, id, syscall.SIGKILL); err != nil {
		return nil // there is none
	}
	f.mu.Lock()
	c := f.ctrs[id]
	f.mu.Unlock()
	if c == nil {
		return nil
	}
	select {
	case <-c.stopped:
	case <-ctx.Done():
		return ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctrs[id] == c {
		delete(f.ctrs, id)
		f.tell(container.Event{ID: id, Kind: container.EventDeleted})
	}
	return nil
}

// State implements container.Runtime.
func (f *Fake) State(_ context.Context, id string) (container.State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.get(id)
	if err != nil {
		return container.State{}, err
	}
	return c.st, nil
}

// List implements container.Runtime.
func (f *Fake) List(context.Context) ([]container.State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []container.State
	for _, c := range f.ctrs {
		all = append(all, c.st)
	}
	slices.SortFunc(all, func(a, b container.State) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// Update implements container.Updater. Only the memory limit means something.
func (f *Fake) Update(_ context.Context, id string, r *specs.LinuxResources) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.get(id)
	if err != nil {
		return err
	}
	if c.st.Status == container.Stopped {
		return fmt.Errorf("update container %s: it is %s: %w", id, c.st.Status, container.ErrState)
	}
	if n := memoryLimit(r); n > 0 {
		c.memory = n
	}
	return nil
}

// ReopenLog implements container.LogReopener.
func (f *Fake) ReopenLog(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.get(id)
	if err != nil || c.st.Status == container.Stopped {
		return err
	}
	return c.log.reopen()
}
