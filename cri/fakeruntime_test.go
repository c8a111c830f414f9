package cri

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/lifepod/lifepod/container"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// fakeRuntime runs programs of critest's little language in memory. It outlives
// the Runtimes that are made over it, as a supervisor does.
type fakeRuntime struct {
	mu      sync.Mutex
	all     map[string]*fakeContainer
	subs    map[chan container.Event]bool
	fail    map[string]error // by method
	updates []*specs.LinuxResources
	reopens int
}

type fakeContainer struct {
	spec   container.Spec
	st     container.State
	signal []os.Signal
	ended  chan struct{}
}

func (f *fakeRuntime) errOf(method string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fail[method]
}

func (f *fakeRuntime) Create(_ context.Context, s container.Spec) error {
	if err := f.errOf("Create"); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[string]*fakeContainer{}
	}
	if f.all[s.ID] != nil {
		return container.ErrExists
	}
	f.all[s.ID] = &fakeContainer{spec: s, ended: make(chan struct{}), st: container.State{ID: s.ID, Status: container.Created, Pid: 1000 + len(f.all), CreatedAt: time.Now()}}
	f.tell(s.ID, container.EventCreated)
	return nil
}

func (f *fakeRuntime) tell(id string, k container.EventKind) {
	for ch := range f.subs {
		select {
		case ch <- container.Event{ID: id, Kind: k}:
		default:
		}
	}
}

func (f *fakeRuntime) Start(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.all[id]
	if c == nil {
		return container.ErrNotFound
	}
	if c.st.Status != container.Created {
		return container.ErrState
	}
	args := c.spec.OCI.Process.Args
	if args[0] == "/nothing" {
		f.end(c, 128)
		return &container.StartError{ID: id, Err: errors.New(`exec: "/nothing": stat /nothing: no such file or directory`)}
	}
	c.st.Status, c.st.StartedAt = container.Running, time.Now()
	f.tell(id, container.EventStarted)
	if len(args) > 2 && args[1] == "exit" {
		code, _ := strconv.Atoi(args[2])
		f.end(c, code)
	}
	if len(args) > 2 && args[1] == "echo" {
		line := time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z07:00") + " stdout F " + args[2] + "\n"
		if err := os.WriteFile(c.spec.Log, []byte(line), 0o640); err != nil {
			return err
		}
		f.end(c, 0)
	}
	return nil
}

func (f *fakeRuntime) end(c *fakeContainer, code int) {
	if c.st.Status == container.Stopped {
		return
	}
	c.st.Status, c.st.FinishedAt, c.st.ExitCode = container.Stopped, time.Now(), code
	close(c.ended)
	f.tell(c.st.ID, container.EventStopped)
}

func (f *fakeRuntime) Signal(_ context.Context, id string, sig os.Signal) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.all[id]
	if c == nil {
		return container.ErrNotFound
	}
	c.signal = append(c.signal, sig)
	ignores := len(c.spec.OCI.Process.Args) > 1 && c.spec.OCI.Process.Args[1] == "ignore"
	if n := sig.(syscall.Signal); n == sigkill || !ignores {
		f.end(c, 128+int(n))
	}
	return nil
}

func (f *fakeRuntime) Delete(_ context.Context, id string) error {
	if err := f.errOf("Delete"); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.all[id]; c != nil {
		f.end(c, 137)
		delete(f.all, id)
		f.tell(id, container.EventDeleted)
	}
	return nil
}

func (f *fakeRuntime) Exec(ctx context.Context, id string, e container.Exec) (int, error) {
	f.mu.Lock()
	c := f.all[id]
	f.mu.Unlock()
	if c == nil {
		return 0, container.ErrNotFound
	}
	switch args := append(e.Args, "", ""); args[1] {
	case "await":
	case "echo":
		fmt.Fprintln(e.Stdout, args[2])
	case "flood":
		b := make([]byte, 1<<20)
		for range 20 {
			_, _ = e.Stdout.Write(b)
		}
	case "cat":
		_, err := io.Copy(e.Stdout, e.Stdin)
		return 0, err
	case "exit":
		fmt.Fprint(e.Stderr, "bye")
		return strconv.Atoi(args[2])
	case "sleep":
		<-ctx.Done()
		return 0, ctx.Err()
	default:
		return 0, errors.New("executable file not found in $PATH")
	}
	return 0, nil
}

func (f *fakeRuntime) State(_ context.Context, id string) (container.State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.all[id]; c != nil {
		return c.st, nil
	}
	return container.State{}, container.ErrNotFound
}

func (f *fakeRuntime) List(context.Context) ([]container.State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []container.State
	for _, c := range f.all {
		out = append(out, c.st)
	}
	return out, nil
}

func (f *fakeRuntime) Events(ctx context.Context) iter.Seq2[container.Event, error] {
	return func(yield func(container.Event, error) bool) {
		ch := make(chan container.Event, 64)
		f.mu.Lock()
		if f.subs == nil {
			f.subs = map[chan container.Event]bool{}
		}
		f.subs[ch] = true
		f.mu.Unlock()
		defer func() { f.mu.Lock(); delete(f.subs, ch); f.mu.Unlock() }()
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-ch:
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func (f *fakeRuntime) Attach(ctx context.Context, id string, s container.Streams) error {
	f.mu.Lock()
	c := f.all[id]
	f.mu.Unlock()
	if s.Stdin != nil {
		if _, err := io.Copy(s.Stdout, s.Stdin); err != nil {
			return err
		}
		return nil
	}
	select {
	case <-c.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fakeRuntime) Update(_ context.Context, _ string, r *specs.LinuxResources) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.updates = append(f.updates, r)
	return f.fail["Update"]
}

func (f *fakeRuntime) ReopenLog(context.Context, string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reopens++
	return nil
}

func (f *fakeRuntime) specOf(id string) *specs.Spec {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all[id].spec.OCI
}

func (f *fakeRuntime) signals(id string) []os.Signal {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]os.Signal(nil), f.all[id].signal...)
}
