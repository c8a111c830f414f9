//go:build linux

package cli_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/cli"
	"github.com/lifepod/lifepod/container/internal/supervised"
	"github.com/lifepod/lifepod/container/runc"
)

var programs = []string{"runc", "crun"}

func each(t *testing.T, f func(t *testing.T, p *place)) {
	for _, program := range programs {
		t.Run(program, func(t *testing.T) { f(t, newPlace(t, program)) })
	}
}

func (p *place) spec(id string, args ...string) container.Spec {
	return container.Spec{ID: id, OCI: p.oci(id, append([]string{"/testbox"}, args...)...), Log: filepath.Join(p.dir, "logs", id+".log")}
}

func (p *place) start(r container.Runtime, spec container.Spec) {
	p.t.Helper()
	if err := r.Create(context.Background(), spec); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if err := r.Delete(context.Background(), spec.ID); err != nil {
			p.t.Error(err)
		}
	})
	if err := r.Start(context.Background(), spec.ID); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) stopped(r container.Runtime, id string) container.State {
	p.t.Helper()
	return supervised.AwaitStop(p.t, r, id)
}

func (p *place) says(spec container.Spec, text string) {
	p.t.Helper()
	supervised.AwaitLog(p.t, spec, text)
}

// A container goes on without its supervisor, and the next one knows it: what it
// says, how to exec in it, how it ends.
func TestSupervisorKilled(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		r, ctx := p.open(), context.Background()
		spec, made := p.spec("run", "trap"), p.spec("made", "exit", "5")
		p.start(r, spec)
		p.says(spec, "ready")
		if err := r.Create(ctx, made); err != nil {
			t.Fatal(err)
		}
		before, err := r.State(ctx, "run")
		if err != nil {
			t.Fatal(err)
		}
		supervised.KillSupervisor(t, p.dir)
		if st, err := r.State(ctx, "run"); err != nil || st.Status != container.Running || st.Pid != before.Pid || !st.StartedAt.Equal(before.StartedAt) {
			t.Fatalf("after the kill: %+v, %v, before %+v", st, err, before)
		}
		if err := r.Start(ctx, "made"); err != nil {
			t.Errorf("start one that an earlier supervisor made: %v", err)
		}
		p.stopped(r, "made")
		if err := r.Delete(ctx, "made"); err != nil {
			t.Error(err)
		}
		var out bytes.Buffer
		if code, err := r.Exec(ctx, "run", container.Exec{Args: []string{"/testbox", "echo", "hi"}, Stdout: &out}); code != 0 || err != nil || out.String() != "hi\n" {
			t.Errorf("exec: %d, %v, %q", code, err, out.String())
		}
		if err := r.Signal(ctx, "run", syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if st := p.stopped(r, "run"); !st.ExitUnknown && st.ExitCode != 3 { // whoever reaps it may be quicker than we
			t.Errorf("in the end: %+v", st)
		}
		p.says(spec, "got terminated")
	})
}

// A supervisor that is killed while the program makes a container leaves nothing:
// the program dies with it, and the next one removes what was made.
func TestSupervisorKilledDuringCreate(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		r, ctx := p.open(), context.Background()
		p.start(r, p.spec("other", "sleep", "1h")) // else the next supervisor may end before we look
		for _, after := range []time.Duration{1, 4, 8, 14, 22} {
			made := make(chan error, 1)
			go func() { made <- r.Create(ctx, p.spec("a", "sleep", "1h")) }()
			time.Sleep(after * time.Millisecond)
			supervised.KillSupervisor(t, p.dir)
			if err := <-made; err != nil { // it was tried again
				t.Errorf("create, with the supervisor killed after %d ms: %v", after, err)
			}
			if st, err := r.State(ctx, "a"); err != nil || st.Status != container.Created {
				t.Errorf("after %d ms: %+v, %v", after, st, err)
			}
			if err := r.Delete(ctx, "a"); err != nil {
				t.Error(err)
			}
		}
	})
}

// An exec whose agent goes is ended, with what it started.
func TestExecEndsWithItsAgent(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		r, other := p.open(), p.open()
		p.start(other, p.spec("a", "sleep", "1h"))
		out, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		ended := make(chan error, 1)
		go func() {
			_, err := r.Exec(context.Background(), "a", container.Exec{Args: []string{"/testbox", "ignore"}, Stdout: w})
			ended <- err
		}()
		line := make([]byte, 6)
		if _, err := out.Read(line); err != nil || string(line) != "ready\n" {
			t.Fatalf("it said %q, %v", line, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			t.Error("the exec ended without an error")
		}
		w.Close()
		if n, err := out.Read(line); n != 0 || err == nil { // the end of file: nobody has it open
			t.Errorf("then it said %q, %v", line[:n], err)
		}
	})
}

// A profile goes to the program, which applies it to the container and its execs.
func TestSeccompProfile(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		r := p.open()
		errno := uint(unix.EDOM)
		spec := p.spec("a", "sleep", "1h")
		spec.OCI.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
			{Names: []string{"keyctl"}, Action: specs.ActErrno, ErrnoRet: &errno},
		}}
		p.start(r, spec)
		call := spec
		call.ID, call.Log = "b", filepath.Join(p.dir, "logs", "b.log")
		own := *spec.OCI
		own.Process = &specs.Process{Args: []string{"/testbox", "call", "keyctl"}, Cwd: "/", Env: spec.OCI.Process.Env}
		linux := *spec.OCI.Linux
		linux.CgroupsPath += "b"
		own.Linux = &linux
		call.OCI = &own
		p.start(r, call)
		p.stopped(r, "b")
		p.says(call, "keyctl EDOM")
		var out bytes.Buffer
		_, err := r.Exec(context.Background(), "a", container.Exec{Args: []string{"/testbox", "call", "keyctl"}, Stdout: &out})
		if err != nil || out.String() != "keyctl EDOM\n" {
			t.Errorf("exec: %q, %v", out.String(), err)
		}
	})
}

// One root has containers of libcontainer and of programs, each of which stays
// with its own, whoever asks.
func TestRuntimesSideBySide(t *testing.T) {
	p := newPlace(t, "runc")
	lib, err := runc.Open(runc.Options{Root: p.opts.Root, Run: p.opts.Run, SupervisorIdle: p.opts.SupervisorIdle, Log: p.opts.Log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lib.Close() })
	runtimes := map[string]container.Runtime{"lib": lib, "runc": p.open()}
	p.opts.Path = "crun"
	runtimes["crun"] = p.open()
	for id, r := range runtimes {
		p.start(r, p.spec(id, "sleep", "1h"))
	}
	supervised.KillSupervisor(t, p.dir)
	for _, r := range runtimes {
		for id := range runtimes {
			if code, err := r.Exec(context.Background(), id, container.Exec{Args: []string{"/testbox", "exit", "7"}}); code != 7 || err != nil {
				t.Errorf("exec in %s: %d, %v", id, code, err)
			}
		}
	}
	for id := range runtimes {
		if err := lib.Delete(context.Background(), id); err != nil {
			t.Error(err)
		}
	}
}

// What the program says when it fails reaches the caller, and not the log.
func TestProgramFails(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		r := p.open()
		spec := p.spec("a", "sleep", "1h")
		spec.OCI.Mounts = append(spec.OCI.Mounts, specs.Mount{Destination: "/x", Type: "bind", Source: p.dir + "/no/such", Options: []string{"bind"}})
		err := r.Create(context.Background(), spec)
		if err == nil || !strings.Contains(err.Error(), filepath.Base(p.opts.Path)+" create: ") || !strings.Contains(strings.ToLower(err.Error()), "no such file") {
			t.Errorf("create: %v", err)
		}
		if b, err := os.ReadFile(spec.Log); err != nil || len(b) > 0 {
			t.Errorf("the log says %q, %v", b, err)
		}
		if all, err := r.List(context.Background()); err != nil || len(all) > 0 {
			t.Errorf("left: %v, %v", all, err)
		}
	})
}

func TestProgramThatIsNone(t *testing.T) {
	p := newPlace(t, "runc")
	p.opts.Path = "/bin/false"
	r := p.open()
	if err := r.Create(context.Background(), p.spec("a", "sleep", "1h")); err == nil || !strings.Contains(err.Error(), "false create: exit status 1") {
		t.Errorf("create with /bin/false: %v", err)
	}
	p.opts.Path = "/bin/true"
	r = p.open()
	if err := r.Create(context.Background(), p.spec("a", "sleep", "1h")); err == nil || !strings.Contains(err.Error(), "read the pid that the runtime wrote") {
		t.Errorf("create with /bin/true: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cli.Open(cli.Options{Path: file}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a file that is not executable: %v", err)
	}
	if _, err := cli.Open(cli.Options{Path: "/bin/true", Root: "x"}); err == nil || !strings.Contains(err.Error(), "absolute") {
		t.Errorf("a relative root: %v", err)
	}
}
