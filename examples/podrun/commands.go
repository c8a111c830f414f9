//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/lifepod/lifepod/cri/stream"
	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/lifecycle/local/show"
)

func list(ctx context.Context, a *app, _ []string) error {
	pods, err := a.node.List(ctx)
	if err != nil {
		return err
	}
	if a.output == "json" {
		enc := json.NewEncoder(os.Stdout)
		for _, p := range pods {
			if err := enc.Encode(p); err != nil {
				return err
			}
		}
		return nil
	}
	if len(pods) == 0 {
		fmt.Fprintln(os.Stderr, "no pods under the root", a.root())
		return nil
	}
	return show.Table(os.Stdout, pods)
}

func logFlags(fs *flag.FlagSet, a *app) {
	fs.BoolVar(&a.follow, "f", false, "wait for more until the container ends")
	fs.BoolVar(&a.previous, "p", false, "the instance before the newest")
	fs.StringVar(&a.container, "c", "", "container")
}

func logs(ctx context.Context, a *app, args []string) error {
	o := local.LogOptions{Container: a.container, Follow: a.follow, Previous: a.previous}
	err := a.node.Logs(ctx, args[0], o, os.Stdout, os.Stderr)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // interrupted by the user, who knows
	}
	return err
}

func execFlags(fs *flag.FlagSet, a *app) {
	fs.BoolVar(&a.stdin, "i", false, "pass on stdin")
	fs.BoolVar(&a.tty, "t", false, "give the command a terminal")
	fs.StringVar(&a.container, "c", "", "container")
	fs.BoolFunc("it", "both", func(string) error { a.stdin, a.tty = true, true; return nil })
}

func execute(ctx context.Context, a *app, args []string) error {
	o := stream.ExecOptions{Cmd: args[1:], TTY: a.tty, Stdout: os.Stdout, Stderr: os.Stderr}
	if a.stdin {
		o.Stdin = os.Stdin
	}
	if fd := int(os.Stdin.Fd()); a.tty && term.IsTerminal(fd) { //nolint:gosec // a descriptor
		old, err := term.MakeRaw(fd)
		if err != nil {
			return err
		}
		defer func() { _ = term.Restore(fd, old) }()
		o.Resize = sizes(ctx, fd)
	}
	code, err := a.node.Exec(ctx, args[0], a.container, o)
	if err == nil && code != 0 {
		return exitCode(code)
	}
	return err
}

// sizes sends the terminal's size now and at each change.
func sizes(ctx context.Context, fd int) <-chan stream.Size {
	out := make(chan stream.Size)
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	changed <- syscall.SIGWINCH
	go func() {
		defer close(out)
		for {
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
			if w, h, err := term.GetSize(fd); err == nil {
				select {
				case out <- stream.Size{Width: uint16(w), Height: uint16(h)}: //nolint:gosec // a terminal's
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}

func describe(ctx context.Context, a *app, args []string) error {
	return a.node.Describe(ctx, args[0], os.Stdout)
}

func stopFlags(fs *flag.FlagSet, a *app) {
	fs.Func("grace", "grace period, such as 5s (default: the pod's own)", func(s string) error {
		d, err := time.ParseDuration(s)
		if a.grace = &d; err != nil || d < 0 {
			return errors.New("it is a duration such as 5s or 1m, 0s to kill")
		}
		return nil
	})
}

func stop(ctx context.Context, a *app, args []string) error {
	return a.node.Stop(ctx, args[0], a.grace)
}

func removeFlags(fs *flag.FlagSet, a *app) {
	fs.BoolVar(&a.force, "force", false, "also a pod that still runs")
}

func remove(ctx context.Context, a *app, args []string) error {
	return a.node.Remove(ctx, args[0], a.force)
}

// agent tells what it does on stderr.
func agent(ctx context.Context, a *app, _ []string) error { return a.node.Agent(ctx) }
