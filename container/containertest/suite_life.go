package containertest

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container"
)

func lifecycle(s *suite) {
	before := time.Now().Add(-time.Second)
	spec := s.spec("trap")
	s.create(spec)
	st := s.state(spec.ID)
	if st.ID != spec.ID || st.Status != container.Created || st.Pid <= 0 || st.CreatedAt.Before(before) || !st.StartedAt.IsZero() {
		s.Errorf("after create: %+v", st)
	}
	s.ok(s.Runtime.Start(s.ctx, spec.ID))
	s.says(spec, "ready")
	if st = s.state(spec.ID); st.Status != container.Running || st.Pid <= 0 || st.StartedAt.Before(st.CreatedAt) || !st.FinishedAt.IsZero() {
		s.Errorf("after start: %+v", st)
	}
	s.ok(s.Runtime.Signal(s.ctx, spec.ID, syscall.SIGTERM))
	st = s.stopped(spec.ID)
	if st.ExitCode != 3 || st.Pid != 0 || st.FinishedAt.Before(st.StartedAt) || st.ExitUnknown || st.OOMKilled || st.LogDropped != 0 {
		s.Errorf("after its end: %+v", st)
	}
	s.ok(s.Runtime.Delete(s.ctx, spec.ID))
	_, err := s.Runtime.State(s.ctx, spec.ID)
	s.is("state of a deleted container", err, container.ErrNotFound)
	if _, err := os.Stat(spec.Log); err != nil {
		s.Errorf("the log is gone with its container: %v", err)
	}
}

func exitCodes(s *suite) {
	for _, code := range []string{"0", "1", "42", "255"} {
		if _, st := s.run("exit", code); code != itoa(st.ExitCode) || st.ExitUnknown {
			s.Errorf("exit %s: %+v", code, st)
		}
	}
}

func ids(s *suite) {
	spec := s.spec("sleep", "1h")
	s.create(spec)
	s.is("create a taken id", s.Runtime.Create(s.ctx, spec), container.ErrExists)
	if st := s.state(spec.ID); st.Status != container.Created {
		s.Errorf("the first container after that: %+v", st)
	}
	s.ok(s.Runtime.Delete(s.ctx, spec.ID))
	s.ok(s.Runtime.Create(s.ctx, spec)) // the id is free again
	for _, op := range []struct {
		name string
		err  error
	}{
		{"state", func() error { _, err := s.Runtime.State(s.ctx, "nobody"); return err }()},
		{"start", s.Runtime.Start(s.ctx, "nobody")},
		{"signal", s.Runtime.Signal(s.ctx, "nobody", syscall.SIGTERM)},
		{"exec", func() error {
			_, err := s.Runtime.Exec(s.ctx, "nobody", container.Exec{Args: []string{"/testbox"}})
			return err
		}()},
	} {
		s.is(op.name+" of an unknown id", op.err, container.ErrNotFound)
	}
}

func badInput(s *suite) {
	for name, change := range map[string]func(*container.Spec){
		"no id":             func(p *container.Spec) { p.ID = "" },
		"id with dots":      func(p *container.Spec) { p.ID = "../x" },
		"id with capitals":  func(p *container.Spec) { p.ID = "Abc" },
		"long id":           func(p *container.Spec) { p.ID = strings.Repeat("a", 65) },
		"no spec":           func(p *container.Spec) { p.OCI = nil },
		"no root":           func(p *container.Spec) { p.OCI.Root = nil },
		"relative root":     func(p *container.Spec) { p.OCI.Root = &specs.Root{Path: "root"} },
		"no process":        func(p *container.Spec) { p.OCI.Process = nil },
		"no args":           func(p *container.Spec) { p.OCI.Process.Args = nil },
		"relative cwd":      func(p *container.Spec) { p.OCI.Process.Cwd = "x" },
		"bad env":           func(p *container.Spec) { p.OCI.Process.Env = []string{"novalue"} },
		"no linux":          func(p *container.Spec) { p.OCI.Linux = nil },
		"no cgroup":         func(p *container.Spec) { p.OCI.Linux.CgroupsPath = "" },
		"root cgroup":       func(p *container.Spec) { p.OCI.Linux.CgroupsPath = "/" },
		"cgroup with dots":  func(p *container.Spec) { p.OCI.Linux.CgroupsPath = "/a/../../b" },
		"relative log":      func(p *container.Spec) { p.Log = "x.log" },
		"log with dots":     func(p *container.Spec) { p.Log = s.Dir + "/../x.log" },
		"once without":      func(p *container.Spec) { p.StdinOnce = true },
		"windows":           func(p *container.Spec) { p.OCI.Windows = &specs.Windows{} },
		"virtual machine":   func(p *container.Spec) { p.OCI.VM = &specs.VM{} },
		"null in an env":    func(p *container.Spec) { p.OCI.Process.Env = []string{"A=b\x00c"} },
		"env without name":  func(p *container.Spec) { p.OCI.Process.Env = []string{"=x"} },
		"empty program":     func(p *container.Spec) { p.OCI.Process.Args = []string{""} },
		"missing directory": func(p *container.Spec) { p.OCI.Root.Path = s.Dir + "/no/such/directory" },
	} {
		spec := s.spec("exit", "0")
		change(&spec)
		if err := s.Runtime.Create(s.ctx, spec); err == nil {
			s.Errorf("%s: create accepted it", name)
			s.ok(s.Runtime.Delete(s.ctx, spec.ID))
		}
		if all, err := s.Runtime.List(s.ctx); err != nil || len(all) > 0 {
			s.Errorf("%s: afterwards there are %v, %v", name, all, err)
		}
	}
}

func wrongState(s *suite) {
	spec := s.spec("sleep", "1h")
	s.create(spec)
	_, err := s.Runtime.Exec(s.ctx, spec.ID, container.Exec{Args: []string{"/testbox", "exit", "0"}})
	s.is("exec in a created container", err, container.ErrState)
	s.ok(s.Runtime.Start(s.ctx, spec.ID))
	s.is("start a running container", s.Runtime.Start(s.ctx, spec.ID), container.ErrState)
	s.ok(s.Runtime.Signal(s.ctx, spec.ID, syscall.SIGKILL))
	s.stopped(spec.ID)
	s.is("start a stopped container", s.Runtime.Start(s.ctx, spec.ID), container.ErrState)
	_, err = s.Runtime.Exec(s.ctx, spec.ID, container.Exec{Args: []string{"/testbox", "exit", "0"}})
	s.is("exec in a stopped container", err, container.ErrState)
	s.ok(s.Runtime.Signal(s.ctx, spec.ID, syscall.SIGTERM)) // not an error
}

func startErrors(s *suite) {
	for program, want := range map[string]string{
		"nosuchprogram":  "not found",
		"/no/such/thing": "no such file",
		"/notexec":       "permission denied",
		"/garbage":       "format error",
	} {
		spec := s.spec()
		spec.OCI.Process.Args = []string{program}
		s.create(spec)
		if st := s.state(spec.ID); st.Status != container.Created {
			s.Errorf("%s after create: %+v", program, st)
		}
		err := s.Runtime.Start(s.ctx, spec.ID)
		var start *container.StartError
		if !errors.As(err, &start) || start.ID != spec.ID || start.Reason() != "StartError" || !strings.Contains(err.Error(), want) {
			s.Errorf("start %s: %v, want a StartError with %q", program, err, want)
		}
		if st := s.stopped(spec.ID); st.ExitCode != 128 || st.FinishedAt.IsZero() || !st.StartedAt.IsZero() {
			s.Errorf("%s after start: %+v", program, st)
		}
		s.is("start it again", s.Runtime.Start(s.ctx, spec.ID), container.ErrState)
		s.ok(s.Runtime.Delete(s.ctx, spec.ID))
	}
}

func signals(s *suite) {
	spec := s.start("ignore")
	s.says(spec, "ready")
	s.ok(s.Runtime.Signal(s.ctx, spec.ID, syscall.SIGTERM))
	if st := s.state(spec.ID); st.Status != container.Running {
		s.Errorf("it ended from a signal that it ignores: %+v", st)
	}
	s.ok(s.Runtime.Signal(s.ctx, spec.ID, syscall.SIGKILL))
	if st := s.stopped(spec.ID); st.ExitCode != 137 || st.ExitUnknown {
		s.Errorf("after SIGKILL: %+v", st)
	}
	spec = s.start("trap")
	s.says(spec, "ready")
	s.ok(s.Runtime.Signal(s.ctx, spec.ID, syscall.SIGHUP))
	s.says(spec, "got hangup")
	s.ok(s.Runtime.Signal(s.ctx, spec.ID, syscall.SIGTERM))
	if st := s.stopped(spec.ID); st.ExitCode != 3 {
		s.Errorf("after SIGTERM: %+v", st)
	}
	spec = s.spec("sleep", "1h")
	s.create(spec)
	s.ok(s.Runtime.Signal(s.ctx, spec.ID, syscall.SIGKILL))
	if st := s.stopped(spec.ID); st.ExitCode != 137 || !st.StartedAt.IsZero() {
		s.Errorf("killed before its start: %+v", st)
	}
}

// deleteAbandoned deletes what it began to create and gave up: whichever of the two
// the runtime works on first, nothing may be left.
func deleteAbandoned(s *suite) {
	mine := map[string]bool{}
	for i := range 60 {
		spec := s.spec("exit", "0")
		mine[spec.ID] = true
		ctx, giveUp := context.WithCancel(s.ctx)
		created := make(chan error, 1)
		go func() { created <- s.Runtime.Create(ctx, spec) }()
		time.Sleep(time.Duration(i) * 20 * time.Microsecond)
		giveUp()
		if err := <-created; err != nil {
			s.is("a create that was given up", err, context.Canceled)
		}
		s.ok(s.Runtime.Delete(s.ctx, spec.ID))
	}
	s.create(s.spec("exit", "0")) // what was begun before is done by now
	all, err := s.Runtime.List(s.ctx)
	s.ok(err)
	for _, st := range all {
		if mine[st.ID] {
			s.Errorf("container %s is there, though it was deleted", st.ID)
			s.ok(s.Runtime.Delete(s.ctx, st.ID))
		}
	}
}

func deletes(s *suite) {
	s.ok(s.Runtime.Delete(s.ctx, "nobody"))
	running, created := s.start("ignore"), s.spec("exit", "0")
	s.create(created)
	done, _ := s.run("exit", "0")
	for _, spec := range []container.Spec{running, created, done} {
		s.ok(s.Runtime.Delete(s.ctx, spec.ID))
		_, err := s.Runtime.State(s.ctx, spec.ID)
		s.is("state of a deleted container", err, container.ErrNotFound)
		s.ok(s.Runtime.Delete(s.ctx, spec.ID))
	}
}

func lists(s *suite) {
	var want []string
	for range 3 {
		spec := s.spec("sleep", "1h")
		s.create(spec)
		want = append(want, spec.ID)
	}
	all, err := s.Runtime.List(s.ctx)
	s.ok(err)
	var got []string
	for _, st := range all {
		got = append(got, st.ID)
		if one := s.state(st.ID); one != st {
			s.Errorf("list says %+v, state %+v", st, one)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.Errorf("list has %v, want %v", got, want)
	}
}

func events(s *suite) {
	ctx, stop := context.WithCancel(s.ctx)
	defer stop()
	var mu sync.Mutex
	var got []container.EventKind
	spec, first := s.spec("exit", "0"), s.spec("exit", "0")
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		for e, err := range s.Runtime.Events(ctx) {
			if err != nil {
				s.Errorf("events: %v", err)
				return
			}
			mu.Lock()
			if e.ID == spec.ID || e.ID == first.ID && len(got) == 0 {
				got = append(got, e.Kind)
			}
			mu.Unlock()
		}
	})
	seen := func() []container.EventKind {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
	s.until("the loop hears something", func() bool {
		s.ok(s.Runtime.Create(s.ctx, first))
		s.ok(s.Runtime.Delete(s.ctx, first.ID))
		return len(seen()) > 0
	})
	mu.Lock()
	got = nil
	first.ID = ""
	mu.Unlock()
	s.ok(s.Runtime.Create(s.ctx, spec))
	s.ok(s.Runtime.Start(s.ctx, spec.ID))
	s.stopped(spec.ID)
	s.ok(s.Runtime.Delete(s.ctx, spec.ID))
	want := []container.EventKind{container.EventCreated, container.EventStarted, container.EventStopped, container.EventDeleted}
	s.until("all events came", func() bool { return len(seen()) >= len(want) })
	if g := seen(); !slices.Equal(g, want) {
		s.Errorf("events %v, want %v", g, want)
	}
}

// slowEvents has a reader that reads nothing until much has happened: it must
// hear that it lost something, and must not have held up anything.
func slowEvents(s *suite) {
	heard, gate := make(chan struct{}), make(chan struct{})
	lost := make(chan bool, 1)
	ctx, stop := context.WithCancel(s.ctx)
	open := sync.OnceFunc(func() { close(gate) })
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	defer open() // also when it fails
	wg.Go(func() {
		n := 0
		for e := range s.Runtime.Events(ctx) {
			if n++; n == 1 {
				close(heard)
				<-gate
			}
			if e.Kind == container.EventLost {
				lost <- true
				return
			}
		}
		lost <- false
	})
	spec := s.spec("exit", "0")
	spec.OCI.Process.Args = []string{"nosuchprogram"}
	for n := 0; n < 60; {
		s.ok(s.Runtime.Create(s.ctx, spec))
		s.ok(s.Runtime.Delete(s.ctx, spec.ID))
		select {
		case <-heard:
			n++
		default:
		}
	}
	open()
	time.AfterFunc(timeout/2, stop)
	if !<-lost {
		s.Error("a reader that was 120 events behind did not hear that some were lost")
	}
}

func manyAtOnce(s *suite) {
	var wg sync.WaitGroup
	for i := range 8 {
		spec := s.spec("exit", itoa(i))
		wg.Go(func() {
			if err := s.Runtime.Create(s.ctx, spec); err != nil {
				s.Error(err)
				return
			}
			if err := s.Runtime.Start(s.ctx, spec.ID); err != nil {
				s.Error(err)
			}
			for s.ctx.Err() == nil {
				st, err := s.Runtime.State(s.ctx, spec.ID)
				if err != nil || st.Status == container.Stopped {
					if err != nil || st.ExitCode != i {
						s.Errorf("%s: %+v, %v, want exit code %d", spec.ID, st, err, i)
					}
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			if err := s.Runtime.Delete(s.ctx, spec.ID); err != nil {
				s.Error(err)
			}
		})
	}
	wg.Wait()
	if all, err := s.Runtime.List(s.ctx); err != nil || len(all) > 0 {
		s.Errorf("left: %v, %v", all, err)
	}
}
