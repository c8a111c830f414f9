//go:build unix

// Command podrun runs pods on this machine: a small front end of lifecycle/local.
//
//	podrun run [--detach] FILE      run the pods of a manifest
//	podrun agent                    drive all pods of the root
//	podrun ps                       list them
//	podrun logs [-f] POD            show a container's output
//	podrun exec [-it] POD -- CMD    run a command in a container
//	podrun describe POD             show all that is known of a pod
//	podrun stop POD                 end it gracefully
//	podrun rm POD                   remove one that has ended
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/lifecycle/local"
)

// exitCode is an error that is only a status.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

type command struct {
	name, args string
	run        func(ctx context.Context, a *app, args []string) error
	flags      func(*flag.FlagSet, *app)
}

var commands = []command{
	{"run", "FILE", runPods, runFlags}, {"agent", "", agent, nil}, {"ps", "", list, outputFlag},
	{"logs", "POD", logs, logFlags}, {"exec", "POD -- COMMAND", execute, execFlags},
	{"describe", "POD", describe, nil}, {"stop", "POD", stop, stopFlags}, {"rm", "POD", remove, removeFlags},
}

func main() {
	err := dispatch(os.Args[1:])
	var code exitCode
	switch {
	case err == nil:
	case errors.As(err, &code):
		os.Exit(int(code))
	default:
		fmt.Fprintln(os.Stderr, "podrun:", err)
		os.Exit(1)
	}
}

func dispatch(args []string) error {
	if len(args) == 0 {
		return usage()
	}
	for _, c := range commands {
		if c.name == args[0] {
			return start(c, args[1:])
		}
	}
	return usage()
}

func usage() error {
	text := "usage: podrun COMMAND [--root DIR] [FLAGS] …"
	for _, c := range commands {
		text += "\n  " + c.name + " " + c.args
	}
	return errors.New(text)
}

// app is what all commands share.
type app struct {
	opts   local.Options
	node   *local.Node
	demo   string
	output string

	detach            bool
	until, waitFor    string
	linger, grace     string
	container         string
	follow, previous  bool
	stdin, tty, force bool
}

func start(c command, args []string) error {
	a := &app{}
	fs := flag.NewFlagSet("podrun "+c.name, flag.ContinueOnError)
	fs.StringVar(&a.opts.Root, "root", "", "directory of images, pods and logs (default "+local.DefaultRoot+")")
	fs.StringVar(&a.opts.Run, "run", "", "directory of what dies with the boot")
	fs.StringVar(&a.demo, "demo", "", "program to serve as the image "+demoImage+" from a registry on loopback")
	if c.flags != nil {
		c.flags(fs, a)
	}
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return exitCode(2)
	}
	if os.Geteuid() != 0 {
		return errors.New("it makes namespaces, mounts and cgroups, and so needs root: try sudo podrun " + c.name)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if a.demo != "" {
		end, err := a.serveDemo()
		if err != nil {
			return err
		}
		defer end()
	}
	var err error
	if a.node, err = local.Open(a.opts); err != nil {
		return err
	}
	return errors.Join(c.run(ctx, a, fs.Args()), a.node.Close())
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

// one is the only argument of a command.
func one(args []string, what string) (string, error) {
	if len(args) != 1 {
		return "", fmt.Errorf("name one %s", what)
	}
	return args[0], nil
}
