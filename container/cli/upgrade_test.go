//go:build linux

package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/lifepod/lifepod/container"
)

// Containers that the program made go on through an upgrade of their supervisor:
// what runs, what was only created, what they say, and how they end.
func TestUpgrade(t *testing.T) {
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
		for range 3 {
			if err := p.open().Upgrade(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if st, err := r.State(ctx, "run"); err != nil || st != before {
			t.Errorf("after it: %+v, %v, before %+v", st, err, before)
		}
		if err := r.Start(ctx, "made"); err != nil {
			t.Errorf("start one that was created before: %v", err)
		}
		if st := p.stopped(r, "made"); st.ExitCode != 5 || st.ExitUnknown {
			t.Errorf("its end: %+v", st)
		}
		if err := r.Delete(ctx, "made"); err != nil {
			t.Error(err)
		}
		p.echo(r, "run")
		if err := r.Signal(ctx, "run", syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if st := p.stopped(r, "run"); st.ExitCode != 3 || st.ExitUnknown {
			t.Errorf("in the end: %+v", st)
		}
		p.says(spec, "got terminated")
	})
}

func (p *place) echo(r container.Runtime, id string) {
	p.t.Helper()
	var out bytes.Buffer
	if code, err := r.Exec(context.Background(), id, container.Exec{Args: []string{"/testbox", "echo", "hi"}, Stdout: &out}); code != 0 || err != nil || out.String() != "hi\n" {
		p.t.Errorf("exec: %d, %v, %q", code, err, out.String())
	}
}

// gated has the program wait in front of each call of command: it makes mark, and
// goes on when go is there.
func (p *place) gated(command string) (mark, goOn string) {
	p.t.Helper()
	mark, goOn = filepath.Join(p.dir, "mark"), filepath.Join(p.dir, "go")
	body := fmt.Sprintf("#!/bin/sh\ncase \" $* \" in *' %s '*)\n\t: >%s\n\twhile ! [ -e %s ]; do sleep 0.01; done;;\nesac\nexec %s \"$@\"\n",
		command, mark, goOn, p.opts.Path)
	p.opts.Path = filepath.Join(p.dir, "gated")
	if err := os.WriteFile(p.opts.Path, []byte(body), 0o755); err != nil {
		p.t.Fatal(err)
	}
	return mark, goOn
}

// A call in whose midst an upgrade is asked for comes to its end, and the upgrade
// then too.
func TestUpgradeDuringCalls(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		command string
		call    func(p *place, r container.Runtime)
	}{
		{"create", func(p *place, r container.Runtime) { p.start(r, p.spec("b", "exit", "7")) }},
		{"start", func(p *place, r container.Runtime) { p.start(r, p.spec("b", "exit", "7")) }},
		{"exec", func(p *place, r container.Runtime) { p.echo(r, "a") }},
		{"delete", func(p *place, r container.Runtime) { // of one that runs: the whole stop
			p.start(r, p.spec("b", "sleep", "1h"))
			if err := r.Delete(ctx, "b"); err != nil {
				p.t.Error(err)
			}
		}},
	} {
		t.Run(c.command, func(t *testing.T) {
			p := newPlace(t, "runc")
			mark, goOn := p.gated(c.command)
			r := p.open()
			if c.command == "exec" {
				p.start(r, p.spec("a", "sleep", "1h"))
			}
			upgraded := make(chan error, 1)
			go func() {
				for _, err := os.Stat(mark); err != nil; _, err = os.Stat(mark) {
					time.Sleep(time.Millisecond)
				}
				time.AfterFunc(100*time.Millisecond, func() { _ = os.WriteFile(goOn, nil, 0o600) })
				upgraded <- p.open().Upgrade(ctx)
			}()
			c.call(p, r)
			if err := <-upgraded; err != nil {
				t.Errorf("upgrade: %v", err)
			}
			if c.command == "create" || c.command == "start" {
				if st := p.stopped(r, "b"); st.ExitCode != 7 || st.ExitUnknown {
					t.Errorf("it ended with %+v", st)
				}
			}
		})
	}
}
