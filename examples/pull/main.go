// Command pull pulls an image, with a bar for each of its layers, mounts its root
// filesystem and says where: no daemon, no Docker. pull -h says how.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
)

const usage = `usage: pull [FLAGS] IMAGE
       pull [FLAGS] --demo

It pulls IMAGE, mounts its root filesystem and lists it. On a terminal it stays
mounted until Ctrl-C.

`

// errUsage is for a wrong call, about which all is said already.
var errUsage = errors.New("wrong call")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case interrupted:
		fmt.Fprintln(os.Stderr, "pull: interrupted")
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "pull:", explain(err))
		os.Exit(1)
	}
}

// call is how the program was called.
type call struct {
	root, ref  string
	demo, stay bool
}

func parse(args []string) (call, error) {
	onTerminal := term.IsTerminal(int(os.Stdout.Fd()))
	var c call
	f := flag.NewFlagSet("pull", flag.ContinueOnError)
	f.Usage = func() { fmt.Fprint(f.Output(), usage); f.PrintDefaults() }
	f.StringVar(&c.root, "root", "", "keep images in `DIR`, for the next time; without it they go at the end")
	f.BoolVar(&c.demo, "demo", false, "pull an image that the program itself serves, on loopback")
	f.BoolVar(&c.stay, "stay", onTerminal, "keep the root mounted until Ctrl-C")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return c, err
	} else if err != nil {
		return c, errUsage
	}
	c.ref = f.Arg(0)
	if c.demo != (f.NArg() == 0) || f.NArg() > 1 {
		fmt.Fprintf(f.Output(), "pull: it takes one IMAGE, or --demo, and got %q\n", f.Args())
		f.Usage()
		return c, errUsage
	}
	return c, nil
}

// explain adds what to do to an error that leaves it open.
func explain(err error) string {
	text := err.Error()
	var r interface {
		error
		Reason() string
	}
	if errors.As(err, &r) && r.Reason() == image.ReasonRegistryUnavailable {
		text += "; does the registry run, and is its name right?"
	}
	return text
}

func run(ctx context.Context, args []string) (err error) {
	c, err := parse(args)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("mounts need root; run it with sudo")
	}
	if c.demo {
		stop, err := c.serve()
		if err != nil {
			return err
		}
		defer stop()
	}
	target, err := os.MkdirTemp("", "pull-root")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(target)) }()
	if c.root == "" {
		if c.root, err = os.MkdirTemp("", "pull-images"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.root)) }()
	}
	store, err := image.Open(c.root, image.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := pull(ctx, store, c.ref); err != nil {
		return err
	}
	return mounted(ctx, store, c, target)
}

// pull shows a pull as it goes.
func pull(ctx context.Context, store *image.Store, ref string) error {
	show := lines(os.Stdout)
	end := func() {}
	if term.IsTerminal(int(os.Stdout.Fd())) {
		show, end = bars(os.Stdout)
	}
	defer end()
	for p, err := range store.Pulling(ctx, ref, image.PullOptions{}) {
		if err != nil {
			return err
		}
		show(p)
	}
	return nil
}

// mounted mounts the image's root at target, tells of it, and takes it away.
func mounted(ctx context.Context, store *image.Store, c call, target string) (err error) {
	img, err := store.Get(ctx, c.ref)
	if err != nil {
		return err
	}
	key := filepath.Base(target)
	mounts, err := store.View(ctx, key, img.ID)
	if err != nil {
		return err
	}
	last := context.WithoutCancel(ctx)
	defer func() { err = errors.Join(err, store.RemoveSnapshot(last, key)) }()
	if err := image.MountAll(mounts, target); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, image.Unmount(target)) }()
	if err := list(os.Stdout, img, target); err != nil || !c.stay {
		return err
	}
	fmt.Println("Ctrl-C takes it away")
	<-ctx.Done()
	return nil
}

func list(w io.Writer, img image.Image, target string) error {
	entries, err := os.ReadDir(target)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		names = append(names, fmt.Sprintf("%q", name))
	}
	_, err = fmt.Fprintf(w, "%s: %d bytes in %d layers\nmounted at %s: %s\n", img.ID, img.Size, len(img.ChainIDs), target, strings.Join(names, " "))
	return err
}

// serve serves an image on loopback.
func (c *call) serve() (stop func(), err error) {
	registry := &imagetest.Registry{}
	if _, err := registry.Add("demo:v1", imagetest.Random(1, 4, 1<<20)); err != nil {
		return nil, err
	}
	host, stop, err := registry.Start()
	c.ref = host + "/demo:v1"
	return stop, err
}
