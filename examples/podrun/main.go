//go:build unix

// Command podrun runs pods on this machine: a small front end of lifecycle/local.
// podrun help says what it does.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/lifecycle/local"
)

// exitCode is an error that is only a status.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

type command struct {
	name, args, what string
	run              func(ctx context.Context, a *app, args []string) error
	flags            func(*flag.FlagSet, *app)
}

var commands = []command{
	{"run", "FILE", "run the pods of a manifest to their end, or --detach", runPods, runFlags},
	{"agent", "", "drive all pods of the root: restarts, probes, deadlines", agent, nil},
	{"ps", "", "list the pods, with what really runs", list, outputFlag},
	{"logs", "POD", "show a container's output; -f waits for more", logs, logFlags},
	{"exec", "POD -- COMMAND", "run a command in a container; -it with a terminal", execute, execFlags},
	{"describe", "POD", "show all that is known of a pod", describe, nil},
	{"stop", "POD", "end a pod gracefully and wait until nothing is left", stop, stopFlags},
	{"rm", "POD", "remove a pod that has ended, or any with --force", remove, removeFlags},
}

const about = `
POD is NAME in the namespace default, or NAMESPACE/NAME. Flags may stand before
or after it; podrun COMMAND -h lists them.

Exit status: 0 all went well, and pods that ran to their end Succeeded; 1 a pod
Failed, for the reason that the last line gives, or the command could not be
done; 2 it was called wrongly; exec: that of its command.

run --output json writes a JSON object a line, each with type, time, pod
(namespace, name, uid) and the field that type names: status (a PodStatus), event
(an Event), timeline (phases and spans of the start), message. ps --output json
writes one for each pod.
`

func main() {
	err := dispatch(os.Args[1:])
	var code exitCode
	switch {
	case err == nil:
	case errors.As(err, &code):
		os.Exit(int(code))
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "podrun: interrupted")
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "podrun:", local.Printable(err.Error()))
		os.Exit(1)
	}
}

func dispatch(args []string) error {
	if len(args) > 0 {
		for _, c := range commands {
			if c.name == args[0] {
				return start(c, args[1:])
			}
		}
		if slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]) {
			usage(os.Stdout)
			return nil
		}
		fmt.Fprintf(os.Stderr, "podrun: there is no command %q\n", args[0])
	}
	usage(os.Stderr)
	return exitCode(2)
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "usage: podrun COMMAND [FLAGS] …")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-22s %s\n", c.name+" "+c.args, c.what)
	}
	fmt.Fprint(w, about)
}

// app is what all commands share.
type app struct {
	opts   local.Options
	node   *local.Node
	demo   string
	output string

	detach            bool
	until, waitFor    string
	linger            time.Duration
	grace             *time.Duration
	container         string
	follow, previous  bool
	stdin, tty, force bool
}

func start(c command, args []string) error {
	a := &app{}
	fs := flag.NewFlagSet("podrun "+c.name, flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "usage: podrun %s [FLAGS] %s\n%s\n", c.name, c.args, c.what)
		fs.PrintDefaults()
	}
	fs.StringVar(&a.opts.Root, "root", "", "directory of images, pods and logs (default "+local.DefaultRoot+")")
	fs.StringVar(&a.opts.Run, "run", "", "directory of what dies with the boot (default /run/lifepod, or one of the root's own)")
	fs.StringVar(&a.demo, "demo", "", "program to serve as the image "+demoImage+" from a registry on loopback")
	if c.flags != nil {
		c.flags(fs, a)
	}
	rest, err := parse(fs, args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return exitCode(2)
	}
	if want := strings.Fields(strings.ReplaceAll(c.args, "-- ", "")); len(rest) < len(want) || len(rest) > len(want) && c.name != "exec" {
		fmt.Fprintf(os.Stderr, "podrun %s: it takes %s, and got %q\n", c.name, cmp.Or(c.args, "no argument"), rest)
		fs.Usage()
		return exitCode(2)
	}
	if os.Geteuid() != 0 {
		return errors.New("it makes namespaces, mounts and cgroups, and so needs root: try sudo podrun " + c.name)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ending()...)
	defer stop()
	level := slog.LevelError
	if c.name == "agent" {
		level = slog.LevelInfo
	} else if _, err := os.Stat(a.root()); err != nil && c.name != "run" {
		return fmt.Errorf("no pod was run under this root: %w; --root names another", err)
	}
	a.opts.Log = logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	if a.demo != "" {
		end, err := a.serveDemo()
		if err != nil {
			return err
		}
		defer end()
	}
	if a.node, err = local.Open(a.opts); err != nil {
		return a.hint(err)
	}
	return a.hint(errors.Join(c.run(ctx, a, rest), a.node.Close()))
}

// ending are the signals that end podrun: a terminal that closes sends SIGHUP,
// unless nohup ignores it.
func ending() []os.Signal {
	s := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		s = append(s, syscall.SIGHUP)
	}
	return s
}

func (a *app) root() string { return cmp.Or(a.opts.Root, local.DefaultRoot) }

// hint says after an error what its user can do.
func (a *app) hint(err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%w under the root %s: podrun ps lists its pods, --root names another", err, a.root())
	case apierrors.IsAlreadyExists(err):
		return fmt.Errorf("%w under the root %s: podrun agent drives it, podrun stop ends it", err, a.root())
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: a root needs room to write in, --root names another than %s", err, a.root())
	}
	return err
}

// parse reads flags wherever they stand before "--".
func parse(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		left := fs.Args()
		if n := len(args) - len(left); len(left) == 0 || n > 0 && args[n-1] == "--" {
			return append(rest, left...), nil
		}
		rest, args = append(rest, left[0]), left[1:]
	}
}

const (
	demoHost  = "demo.lifepod.example"
	demoImage = demoHost + "/demo:v1"
)

// serveDemo serves an image of one program, to be pulled like any other.
func (a *app) serveDemo() (stop func(), err error) {
	program, err := os.ReadFile(a.demo)
	if err != nil {
		return nil, err
	}
	img := imagetest.Image{Layers: []imagetest.Layer{imagetest.Program("demo", program)}}
	img.Config.Config.Entrypoint = []string{"/demo"}
	registry := &imagetest.Registry{}
	if _, err := registry.Add("demo:v1", img); err != nil {
		return nil, err
	}
	host, stop, err := registry.Start()
	if err != nil {
		return nil, err
	}
	a.opts.Images.Client.Mirrors = map[string]string{demoHost: host}
	return stop, nil
}
