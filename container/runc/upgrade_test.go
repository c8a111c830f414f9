//go:build linux

package runc_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/internal/supervised"
	"github.com/lifepod/lifepod/container/runc"
)

// bothPrograms runs f with the prebuilt supervisor and with this program as its
// own.
func bothPrograms(t *testing.T, f func(t *testing.T, p *place)) {
	t.Run("prebuilt", func(t *testing.T) {
		p := newPlace(t)
		p.usePrebuilt()
		f(t, p)
	})
	t.Run("reexecuted", func(t *testing.T) { f(t, newPlace(t)) })
}

func upgrade(t *testing.T, r *runc.Runtime) {
	t.Helper()
	if err := r.Upgrade(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// upgrades is how often; LIFEPOD_UPGRADES says it, and 50 is the full form.
func upgrades() int {
	if n, err := strconv.Atoi(os.Getenv("LIFEPOD_UPGRADES")); err == nil {
		return n
	}
	return 15
}

// Containers, their output and input, terminals, execs and the agents' own
// connections go through any number of upgrades as if there were none.
func TestUpgrade(t *testing.T) {
	bothPrograms(t, func(t *testing.T, p *place) {
		r, asker := p.open(), p.open()
		lines := p.start(r, "w", "lines", "0")
		one, was := p.supervisor(), p.state(r, "w")
		made := container.Spec{ID: "made", OCI: p.oci("made", "/testbox", "exit", "5"), Log: p.dir + "/logs/made.log"}
		if err := r.Create(context.Background(), made); err != nil {
			t.Fatal(err)
		}
		talks := p.talks(r)
		p.neverUnlocked()
		p.neverLost(r)
		for i := range upgrades() {
			upgrade(t, asker)
			p.awaitGrowth(lines)
			for _, k := range talks {
				k.say(t, i)
			}
		}
		if now := p.supervisor(); now != one {
			t.Errorf("supervisor %d followed %d", now, one)
		}
		if st := p.state(r, "w"); st != was {
			t.Errorf("the writer: %+v, it was %+v", st, was)
		}
		for _, k := range talks {
			k.end(t)
		}
		if err := r.Start(context.Background(), "made"); err != nil {
			t.Error(err)
		}
		if st := p.awaitStop(r, "made"); st.ExitCode != 5 {
			t.Errorf("one that was created before: %+v", st)
		}
		if err := errors.Join(r.Delete(context.Background(), "made"), r.Signal(context.Background(), "w", syscall.SIGKILL)); err != nil {
			t.Error(err)
		}
		if st := p.awaitStop(r, "w"); st.ExitCode != 137 || st.ExitUnknown || st.LogDropped != 0 {
			t.Errorf("the writer in the end: %+v", st)
		}
		n, twice := numbers(t, lines.Log)
		if twice > 0 {
			t.Errorf("%d lines are there twice", twice)
		}
		t.Logf("%d upgrades, %d lines", upgrades(), n)
		if n := p.zombies(); n > 0 {
			t.Errorf("the supervisor has %d zombies", n)
		}
		if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", one)); string(name) != "lifepod-supervi\n" {
			t.Errorf("the process is called %q, %v", name, err)
		}
	})
}

// talk is a conversation with a cat in a container.
type talk struct {
	name  string
	in    *os.File
	out   *bufio.Reader
	ended chan error
	code  func() (int, error)
	last  string // what ends the cat
}

// talks begins one of each kind.
func (p *place) talks(r *runc.Runtime) []*talk {
	stdin := container.Spec{ID: "in", OCI: p.oci("in", "/testbox", "cat"), Log: p.dir + "/logs/in.log", Stdin: true, StdinOnce: true}
	tty := container.Spec{ID: "tty", OCI: p.oci("tty", "/testbox", "cat"), Log: p.dir + "/logs/tty.log", Stdin: true}
	tty.OCI.Process.Terminal = true
	p.startSpec(r, stdin)
	p.startSpec(r, tty)
	attach := func(id string) func(io.Reader, io.Writer) (int, error) {
		return func(in io.Reader, out io.Writer) (int, error) {
			if err := r.Attach(context.Background(), id, container.Streams{Stdin: in, Stdout: out}); err != nil {
				return 0, err
			}
			return p.awaitStop(r, id).ExitCode, nil
		}
	}
	exec := func(tty bool) func(io.Reader, io.Writer) (int, error) {
		return func(in io.Reader, out io.Writer) (int, error) {
			return r.Exec(context.Background(), "w", container.Exec{Args: []string{"/testbox", "cat"}, Stdin: in, Stdout: out, TTY: tty})
		}
	}
	return []*talk{
		p.talk("attach", "", attach("in")), p.talk("terminal", "\x04", attach("tty")),
		p.talk("exec", "", exec(false)), p.talk("exec's terminal", "\x04", exec(true)),
	}
}

func (p *place) talk(name, last string, with func(io.Reader, io.Writer) (int, error)) *talk {
	p.t.Helper()
	theirIn, in, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	k := &talk{name: name, in: in, out: bufio.NewReader(out), ended: make(chan error, 1), last: last}
	var code int
	k.code = func() (int, error) { err := <-k.ended; return code, err }
	go func() {
		var err error
		code, err = with(theirIn, theirOut)
		theirIn.Close()
		theirOut.Close()
		k.ended <- err
	}()
	p.t.Cleanup(func() { in.Close(); out.Close() })
	return k
}

// say says something and hears it again, and nothing else.
func (k *talk) say(t *testing.T, i int) {
	t.Helper()
	words := fmt.Sprintf("words %d", i)
	if _, err := k.in.WriteString(words + "\n"); err != nil {
		t.Fatalf("%s: %v", k.name, err)
	}
	times := 1
	if k.last != "" { // the terminal itself repeats it
		times = 2
	}
	for range times {
		if got, err := k.out.ReadString('\n'); strings.TrimRight(got, "\r\n") != words {
			t.Fatalf("%s: heard %q, want %q: %v", k.name, got, words, err)
		}
	}
}

func (k *talk) end(t *testing.T) {
	t.Helper()
	if _, err := k.in.WriteString(k.last); err != nil {
		t.Errorf("%s: %v", k.name, err)
	}
	k.in.Close()
	if code, err := k.code(); code != 0 || err != nil {
		t.Errorf("%s ended with %d, %v", k.name, code, err)
	}
}

// neverUnlocked fails the test when, at any moment, a second supervisor could
// have started.
func (p *place) neverUnlocked() {
	p.t.Helper()
	f, err := os.Open(filepath.Join(p.opts.Run, "supervisor.alive"))
	if err != nil {
		p.t.Fatal(err)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	p.t.Cleanup(func() { close(stop); wg.Wait(); f.Close() })
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond):
			}
			if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
				p.t.Error("the lock that says that a supervisor lives was free")
				return
			}
		}
	})
}

// neverLost fails the test when r is told that it missed something.
func (p *place) neverLost(r *runc.Runtime) {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	p.t.Cleanup(func() { stop(); wg.Wait() })
	wg.Go(func() {
		for e, err := range r.Events(ctx) {
			if err != nil || e.Kind == container.EventLost {
				p.t.Errorf("event %+v, %v", e, err)
				return
			}
		}
	})
}

// Agents that make, start, exec in and delete containers do not notice that the
// supervisor is being upgraded, and every exit code is right.
func TestUpgradeUnderLoad(t *testing.T) {
	bothPrograms(t, func(t *testing.T, p *place) {
		asker := p.open()
		p.start(asker, "stays", "sleep", "1h")
		p.neverUnlocked()
		ctx, stop := context.WithCancel(context.Background())
		var agents sync.WaitGroup
		rounds := make([]int, 4)
		for a := range rounds {
			r := p.open()
			p.neverLost(r)
			agents.Go(func() {
				for ; ctx.Err() == nil; rounds[a]++ {
					if err := p.round(r, fmt.Sprintf("a%d", a), 1+rounds[a]%100); err != nil {
						t.Errorf("agent %d, round %d: %v", a, rounds[a], err)
						return
					}
				}
			})
		}
		for range upgrades() {
			upgrade(t, asker)
		}
		stop()
		agents.Wait()
		t.Logf("%d upgrades, rounds %v", upgrades(), rounds)
	})
}

// round is a container's life.
func (p *place) round(r *runc.Runtime, id string, code int) error {
	ctx := context.Background()
	spec := container.Spec{ID: id, OCI: p.oci(id, "/testbox", "exit", strconv.Itoa(code)), Log: filepath.Join(p.dir, "logs", id)}
	if err := r.Create(ctx, spec); err != nil {
		return err
	}
	if err := r.Start(ctx, id); err != nil {
		return err
	}
	for {
		st, err := r.State(ctx, id)
		if err != nil || st.Status == container.Stopped && (st.ExitCode != code || st.ExitUnknown) {
			return fmt.Errorf("%+v, %w, want exit code %d", st, err, code)
		}
		if st.Status == container.Stopped {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if got, err := r.Exec(ctx, "stays", container.Exec{Args: []string{"/testbox", "exit", strconv.Itoa(code)}}); got != code || err != nil {
		return fmt.Errorf("exec: %d, %w, want %d", got, err, code)
	}
	return r.Delete(ctx, id)
}

// A supervisor can go on as another program and back, keeps what it knows of
// memory and of containers that have ended, and ends when nobody needs it.
func TestUpgradeToAnotherProgram(t *testing.T) {
	p := newPlace(t)
	reexecuted := p.open()
	p.usePrebuilt()
	prebuilt := p.open()
	exe := func() string {
		to, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.supervisor()))
		if err != nil {
			t.Fatal(err)
		}
		return to
	}
	p.start(prebuilt, "done", "exit", "4")
	was := p.awaitStop(prebuilt, "done")
	oom := container.Spec{ID: "oom", OCI: p.oci("oom", "/testbox", "mem"), Log: p.dir + "/logs/oom.log"}
	limit := int64(64 << 20)
	oom.OCI.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit}
	p.startSpec(prebuilt, oom)
	p.awaitLog(oom, "child:")
	for _, c := range []struct {
		r    *runc.Runtime
		want string
	}{{reexecuted, must(os.Executable())}, {prebuilt, p.opts.Supervisor}} {
		upgrade(t, c.r)
		if got := exe(); got != c.want {
			t.Errorf("it is %s, want %s", got, c.want)
		}
		if st := p.state(reexecuted, "done"); st != was {
			t.Errorf("one that had ended: %+v, it was %+v", st, was)
		}
		if st := p.state(prebuilt, "oom"); !st.OOMKilled || st.Status != container.Running {
			t.Errorf("one with a child that was too big: %+v", st)
		}
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p.supervisor()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if !strings.HasSuffix(line, ":/lifepod-"+runc.RootID(p.dir)+"/supervisor\n") {
			t.Errorf("it is in cgroup %s", line)
		}
	}
}

// A container that cannot be executed, one that ends while it waits, and one that
// is signalled are the same after an upgrade as without.
func TestUpgradeOfCreated(t *testing.T) {
	bothPrograms(t, func(t *testing.T, p *place) {
		r, ctx := p.open(), context.Background()
		bad := filepath.Join(supervised.Rootfs(p.dir), "bad")
		if err := os.WriteFile(bad, []byte("\x7fELF of nothing"), 0o755); err != nil {
			t.Fatal(err)
		}
		for id, program := range map[string]string{"bad": "/bad", "none": "/none", "killed": "/testbox"} {
			spec := container.Spec{ID: id, OCI: p.oci(id, program, "exit", "0"), Log: p.dir + "/logs/" + id}
			if err := r.Create(ctx, spec); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.open().Delete(ctx, id) })
		}
		upgrade(t, r)
		for _, id := range []string{"bad", "none"} {
			var start *container.StartError
			if err := r.Start(ctx, id); !errors.As(err, &start) {
				t.Errorf("start %s: %v", id, err)
			}
			if st := p.awaitStop(r, id); st.ExitCode != 128 {
				t.Errorf("%s: %+v", id, st)
			}
		}
		if err := r.Signal(ctx, "killed", syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		if st := p.awaitStop(r, "killed"); st.ExitCode != 137 || st.ExitUnknown {
			t.Errorf("killed: %+v", st)
		}
	})
}
