package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/lifepod/lifepod/internal/apart"
	"github.com/lifepod/lifepod/internal/containerd"
)

var (
	module  = flag.String("module", ".", "the module's directory, for what is built in its .cache")
	rounds  = flag.Int("n", 5, "pulls by each, after one to warm up")
	mib     = flag.Int64("mib", 565, "size of the image unpacked, in millions of bytes")
	kinds   = flag.String("compression", "gzip,zstd", "the layers' compressions")
	only    = flag.String("only", "", "measure only those whose name this regular expression matches")
	noSync  = flag.Bool("nosync", false, "for pull: leave it to the kernel when content reaches the disk")
	profile = flag.String("profile", "", "write a CPU profile of lifepod's last pull to this file")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := command(ctx, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench-image:", err)
		os.Exit(1)
	}
}

// command is what this process is to do: all, or one of the programs that run
// beside it.
func command(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "registry":
		return serveLayouts(args[1])
	case len(args) == 3 && args[0] == "pull":
		return pullOnce(ctx, args[1], args[2], *noSync)
	case len(args) > 0:
		return fmt.Errorf("unknown arguments %q", args)
	case apart.Inside():
		return run(ctx)
	}
	cmd := apart.Command(ctx, os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

func run(ctx context.Context) error {
	if err := apart.Enter(containerd.Elsewhere); err != nil {
		return err
	}
	images, err := filepath.Abs(filepath.Join(*module, ".cache", "bench-image", fmt.Sprint(*mib)))
	if err != nil {
		return err
	}
	for kind := range strings.SplitSeq(*kinds, ",") {
		if err := describe(images, kind); err != nil {
			return err
		}
	}
	host, stop, err := startRegistry(ctx, images)
	if err != nil {
		return err
	}
	defer stop()
	for kind := range strings.SplitSeq(*kinds, ",") {
		if err := compare(ctx, images, host, kind); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
}

// describe makes the image if it is not there yet, and says what it is.
func describe(images, kind string) error {
	dir := filepath.Join(images, kind)
	desc, err := manifestOf(dir)
	if errors.Is(err, fs.ErrNotExist) {
		layers, err := choose(*mib * 1e6)
		if err != nil {
			return err
		}
		if err := build(dir, kind, layers); err != nil {
			return err
		}
		if desc, err = manifestOf(dir); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	fmt.Printf("%s: %s\n", kind, desc.Digest)
	return nil
}

// subject is one way to pull the image.
type subject struct {
	name string
	pull func(ctx context.Context, dir string) (figures, error)
}

// have tells whether a program is there, and says so if it is not.
func have(program, debian string) bool {
	_, err := exec.LookPath(program)
	if err != nil {
		fmt.Printf("left out, as there is no %s: install Debian's package %s\n", program, debian)
	}
	return err == nil
}

// subjects are all of them; those with the same Synced can be compared.
func subjects(images, host, kind string) []subject {
	ours := host + "/" + kind + ":bench"
	all := []subject{
		{"lifepod, NoSync", func(ctx context.Context, dir string) (figures, error) { return lifepod(ctx, dir, ours, true) }},
		{"containerd", func(ctx context.Context, dir string) (figures, error) {
			return peerd(ctx, dir, host, kind+":bench", false, false)
		}},
		{"lifepod", func(ctx context.Context, dir string) (figures, error) { return lifepod(ctx, dir, ours, false) }},
		{"containerd, synced", func(ctx context.Context, dir string) (figures, error) {
			return peerd(ctx, dir, host, kind+":bench", false, true)
		}},
		{"floor", func(ctx context.Context, dir string) (figures, error) {
			return child(exec.CommandContext(ctx, filepath.Join(*module, ".cache", "bench-floor"), filepath.Join(images, kind), filepath.Join(dir, "tree")))
		}},
	}
	if kind == "gzip" && have("igzip", "isal") {
		all = append(all, subject{"containerd with igzip", func(ctx context.Context, dir string) (figures, error) {
			return peerd(ctx, dir, host, kind+":bench", true, false)
		}}, subject{"containerd with igzip, synced", func(ctx context.Context, dir string) (figures, error) {
			return peerd(ctx, dir, host, kind+":bench", true, true)
		}})
	}
	if have("podman", "podman") {
		all = append(all, subject{"podman", func(ctx context.Context, dir string) (figures, error) {
			return podman(ctx, dir, host, kind+":bench")
		}})
	}
	return all
}
