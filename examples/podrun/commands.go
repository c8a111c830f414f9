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
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/lifepod/lifepod/cri/stream"
	"github.com/lifepod/lifepod/lifecycle/local"
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
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAMESPACE\tNAME\tPHASE\tREADY\tRESTARTS\tIP\tDRIVEN\tRUNNING")
	for _, p := range pods {
		ready, restarts := 0, int32(0)
		for _, c := range p.Status.ContainerStatuses {
			restarts += c.RestartCount
			if c.Ready {
				ready++
			}
		}
		driven := "yes"
		if !p.Driven {
			driven = "undriven since " + p.Since.Format(time.DateTime)
		}
		var running []string
		for _, c := range p.Containers {
			if c.State == "running" {
				running = append(running, c.Name)
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d/%d\t%d\t%s\t%s\t%s\n", p.Pod.Namespace, p.Pod.Name, p.Status.Phase, ready,
			len(p.Pod.Spec.Containers), restarts, p.Status.PodIP, driven, strings.Join(running, ","))
	}
	return w.Flush()
}

func logFlags(fs *flag.FlagSet, a *app) {
	fs.BoolVar(&a.follow, "f", false, "wait for more until the container ends")
	fs.BoolVar(&a.previous, "p", false, "the instance before the newest")
	fs.StringVar(&a.container, "c", "", "container")
}

func logs(ctx context.Context, a *app, args []string) error {
	name, err := one(args, "pod")
	if err != nil {
		return err
	}
	o := local.LogOptions{Container: a.container, Follow: a.follow, Previous: a.previous}
	err = a.node.Logs(ctx, name, o, os.Stdout, os.Stderr)
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
	if len(args) < 2 {
		return errors.New("name a pod and a command: podrun exec POD -- COMMAND")
	}
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
	name, err := one(args, "pod")
	if err != nil {
		return err
	}
	return a.node.Describe(ctx, name, os.Stdout)
}

func stopFlags(fs *flag.FlagSet, a *app) {
	fs.DurationVar(&a.grace, "grace", -1, "grace period, such as 5s (default: the pod's own)")
}

func stop(ctx context.Context, a *app, args []string) error {
	name, err := one(args, "pod")
	if err != nil {
		return err
	}
	if a.grace < 0 {
		return a.node.Stop(ctx, name, nil)
	}
	return a.node.Stop(ctx, name, &a.grace)
}

func removeFlags(fs *flag.FlagSet, a *app) {
	fs.BoolVar(&a.force, "force", false, "also a pod that still runs")
}

func remove(ctx context.Context, a *app, args []string) error {
	name, err := one(args, "pod")
	if err != nil {
		return err
	}
	return a.node.Remove(ctx, name, a.force)
}

// agent shows nothing but what goes wrong.
func agent(ctx context.Context, a *app, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("it takes no %q: it drives all pods of the root", args[0])
	}
	return a.node.Agent(ctx)
}
