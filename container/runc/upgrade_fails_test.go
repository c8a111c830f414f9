//go:build linux

package runc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc"
	"github.com/lifepod/lifepod/container/runc/internal/boot"
	"github.com/lifepod/lifepod/container/runc/internal/wire"
)

// script is a program that is none of lifepod's.
func (p *place) script(name, body string) string {
	p.t.Helper()
	file := filepath.Join(p.dir, name)
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		p.t.Fatal(err)
	}
	return file
}

// with is another Runtime of the same root whose supervisor is program.
func (p *place) with(program string) *runc.Runtime {
	opts := p.opts
	opts.Supervisor = program
	other := *p
	other.opts = opts
	return other.open()
}

// What cannot take the supervisor's place is refused by name, and the old one
// serves on as if nothing had happened.
func TestUpgradeRefused(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	p.start(r, "w", "sleep", "1h")
	one := p.supervisor()
	p.neverLost(r)
	p.neverUnlocked()
	talks := p.talks(r)
	plain := filepath.Join(p.dir, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(p.dir, "broken")
	if err := os.WriteFile(broken, []byte("\x7fELF of nothing"), 0o755); err != nil {
		t.Fatal(err)
	}
	pids := filepath.Join(p.dir, "pids")
	hangs := p.script("hangs", "sleep 1h & echo $$ $! >"+pids+"; wait")
	for i, c := range []struct{ program, want string }{
		{hangs, "hangs: asked whether it can go on from here, it did not answer within"},
		{p.dir + "/none", "no such file"},
		{plain, "is not an executable file"},
		{broken, "exec format error"},
		{"/bin/true", "/bin/true: it is not a supervisor's program"},
		{"/bin/false", "exit status 1"},
		{p.script("newer", "echo -n it cannot >&3"), "newer: it cannot"},
	} {
		if err := p.with(c.program).Upgrade(context.Background()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("upgrade to %s: %v, want %q", c.program, err, c.want)
		}
		for _, k := range talks {
			k.say(t, i)
		}
	}
	for _, k := range talks {
		k.end(t)
	}
	if now := p.supervisor(); now != one {
		t.Errorf("supervisor %d followed %d", now, one)
	}
	b, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range strings.Fields(string(b)) { // the one that hung, and its child
		dead(t, must(strconv.Atoi(pid)))
	}
}

// An effect of the upgrade that fails leaves the old program serving.
func TestUpgradeFails(t *testing.T) {
	for _, point := range []string{"probe:before", "probe:after", "state:before", "state:after", "exec:before"} {
		t.Run(point, func(t *testing.T) {
			p := newPlace(t)
			p.usePrebuilt()
			t.Setenv(boot.FailpointEnv, "container/upgrade-"+point+":error")
			r := p.open()
			p.start(r, "w", "sleep", "1h")
			p.neverLost(r)
			p.neverUnlocked()
			talks := p.talks(r)
			if err := r.Upgrade(context.Background()); err == nil || !strings.Contains(err.Error(), "failpoint") {
				t.Errorf("upgrade: %v", err)
			}
			for _, k := range talks {
				k.say(t, 1)
			}
			upgrade(t, r) // the point is hit once
			for _, k := range talks {
				k.say(t, 2)
				k.end(t)
			}
		})
	}
}

// Whatever ends the supervisor on the way, or keeps the new program from knowing
// what the old one knew, costs no container, no line of a log and no exit code.
func TestUpgradeThatEndsTheSupervisor(t *testing.T) {
	for _, point := range []string{
		"upgrade-probe:before:kill", "upgrade-probe:after:kill", "upgrade-state:before:kill", "upgrade-state:after:kill",
		"upgrade-exec:before:kill", "upgrade-take:before:kill", "upgrade-take:after:kill", // in the new program from here
		"upgrade-take:before:error", "upgrade-take:after:error",
		"upgrade-goon:before:kill", "upgrade-goon:after:kill", "upgrade-goon:before:error", "upgrade-goon:after:error",
	} {
		t.Run(point, func(t *testing.T) {
			p := newPlace(t)
			p.usePrebuilt()
			gate := filepath.Join(p.dir, "gate")
			t.Setenv(boot.FailpointEnv, "container/"+point+":1:"+gate)
			p.upgradeEnds(p.open(), p.opts.Supervisor, gate)
		})
	}
	t.Run("the new program exits", func(t *testing.T) {
		p := newPlace(t)
		p.usePrebuilt()
		bad := p.script("bad", `[ -n "$LIFEPOD_SUPERVISOR_PROBE" ] && echo -n ready >&3`)
		p.upgradeEnds(p.open(), bad, filepath.Join(p.dir, "gate"))
	})
}

// upgradeEnds upgrades to program, which ends the supervisor once gate exists.
func (p *place) upgradeEnds(r *runc.Runtime, program, gate string) {
	p.t.Helper()
	ctx := context.Background()
	lines := p.start(r, "w", "lines", "0")
	traps := p.start(r, "t", "trap")
	p.awaitLog(traps, "ready")
	was := p.state(r, "w")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := p.with(program).Upgrade(ctx); err == nil || !strings.Contains(err.Error(), "ended on the way") {
		p.t.Errorf("upgrade: %v", err)
	}
	p.awaitGrowth(lines)
	if st := p.state(r, "w"); st != was {
		p.t.Errorf("the writer: %+v, it was %+v", st, was)
	}
	if err := errors.Join(r.Signal(ctx, "w", syscall.SIGKILL), r.Signal(ctx, "t", syscall.SIGTERM)); err != nil {
		p.t.Error(err)
	}
	if st := p.awaitStop(r, "w"); st.ExitCode != 137 || st.ExitUnknown && haveExitInfo() {
		p.t.Errorf("the writer in the end: %+v", st)
	}
	if st := p.awaitStop(r, "t"); st.ExitCode != 3 && haveExitInfo() {
		p.t.Errorf("the other in the end: %+v", st)
	}
	n, twice := numbers(p.t, lines.Log)
	p.t.Logf("%d lines, %d twice", n, twice)
}

// An upgrade does not wait for ever for a call, nor cut it.
func TestUpgradeWaitsForCalls(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	p.start(r, "a", "sleep", "1h")
	mark := filepath.Join(p.dir, "mark")
	p.opts.Runtime = []string{p.script("slow", `case "$*" in *create*) touch `+mark+`; sleep 7; echo done >`+mark+`;; esac; exit 1`)}
	slow := p.open()
	ended := make(chan error, 1)
	go func() {
		ended <- slow.Create(context.Background(), container.Spec{ID: "b", OCI: p.oci("b", "/testbox", "exit", "0")})
	}()
	for _, err := os.Stat(mark); err != nil; _, err = os.Stat(mark) {
		time.Sleep(time.Millisecond)
	}
	if err := r.Upgrade(context.Background()); err == nil || !strings.Contains(err.Error(), "still under way (create): try again") {
		t.Errorf("upgrade: %v", err)
	}
	if st := p.state(r, "a"); st.Status != container.Running {
		t.Errorf("after it: %+v", st)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "slow create: exit status 1") {
		t.Errorf("create: %v", err)
	}
	if b, err := os.ReadFile(mark); err != nil || string(b) != "done\n" {
		t.Errorf("it came to %q, %v", b, err)
	}
	upgrade(t, r)
}

// Where no supervisor runs there is nothing to upgrade.
func TestUpgradeOfNone(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	upgrade(t, r)
	if _, err := os.Stat(p.opts.Run); err == nil {
		t.Error("it made the run directory")
	}
	p.start(r, "a", "sleep", "1h")
	p.killSupervisor()
	upgrade(t, r)
	if st := p.state(r, "a"); st.Status != container.Running {
		t.Errorf("the container: %+v", st)
	}
}

func dialWire(t *testing.T, p *place) *wire.Conn {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: p.opts.Run + "/supervisor.sock", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	w := wire.NewConn(c)
	t.Cleanup(func() { w.Close() })
	return w
}

func ask(t *testing.T, w *wire.Conn, m *wire.Message) *wire.Message {
	t.Helper()
	if err := w.Send(m); err != nil {
		t.Fatal(err)
	}
	answer, err := w.Receive()
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// Who has connected and not yet spoken is served by the new program.
func TestUpgradeBeforeHello(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	p.start(r, "a", "sleep", "1h")
	w := dialWire(t, p)
	upgrade(t, r)
	upgrade(t, r)
	m := ask(t, w, &wire.Message{Op: wire.OpHello, Body: wire.Body(wire.Hello{Version: wire.Version})})
	if m.Op != wire.OpHello || m.Err != nil {
		t.Errorf("it answered %+v", m)
	}
}

// An agent of another version is refused with the versions, and can have the
// supervisor upgraded nevertheless.
func TestUpgradeOfAnotherVersion(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	p.start(r, "a", "sleep", "1h")
	m := ask(t, dialWire(t, p), &wire.Message{Op: wire.OpHello, Body: wire.Body(wire.Hello{Version: 99})})
	var hello wire.Hello
	if err := json.Unmarshal(m.Body, &hello); err != nil || hello.Version != wire.Version || m.Err == nil || !strings.Contains(m.Err.Message, "version 99") {
		t.Errorf("it answered %+v, %v", m, err)
	}
	program, err := os.Open(p.opts.Supervisor)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	m = ask(t, dialWire(t, p), &wire.Message{Op: wire.OpUpgrade, Body: json.RawMessage(`{"program":"x","whatever":1}`), Files: []*os.File{program}})
	if m.Op != wire.OpDone || m.Err != nil {
		t.Errorf("the upgrade was answered %+v", m)
	}
	for want, m := range map[string]*wire.Message{
		"instead of 1":  {Op: wire.OpUpgrade, Body: json.RawMessage(`{}`)},
		"decode body":   {Op: wire.OpUpgrade, Body: json.RawMessage(`[]`), Files: []*os.File{program}},
		"is not a supe": {Op: wire.OpUpgrade, Body: json.RawMessage(`{}`), Files: []*os.File{os.Stdout}},
	} {
		if m := ask(t, dialWire(t, p), m); m.Err == nil || !strings.Contains(m.Err.Message, want) {
			t.Errorf("answered %+v, want %q", m, want)
		}
	}
}

// An agent that meets a supervisor of another version says so, and Upgrade asks
// that one.
func TestSupervisorOfAnotherVersion(t *testing.T) {
	p := newPlace(t)
	p.usePrebuilt()
	if err := os.MkdirAll(p.opts.Run, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", p.opts.Run+"/supervisor.sock")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w := wire.NewConn(c.(*net.UnixConn))
			m, err := w.Receive()
			if err != nil {
				t.Error(err)
			} else if m.Op == wire.OpUpgrade && len(m.Files) == 1 {
				b := make([]byte, 4)
				_, _ = m.Files[0].Read(b)
				asked <- string(b)
				_ = w.Send(&wire.Message{Op: wire.OpDone})
			} else {
				_ = w.Send(&wire.Message{Op: wire.OpHello, Body: wire.Body(wire.Hello{Version: 0}), Err: &wire.Error{Message: "no"}})
			}
			w.Close()
		}
	}()
	defer l.Close()
	r := p.open()
	if _, err := r.List(context.Background()); !errors.Is(err, runc.ErrVersion) || !strings.Contains(err.Error(), "speaks version 0") {
		t.Errorf("list: %v", err)
	}
	upgrade(t, r)
	if got := <-asked; !bytes.Equal([]byte(got), []byte("\x7fELF")) {
		t.Errorf("it was given a program that begins with %q", got)
	}
}
