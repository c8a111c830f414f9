package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"

	"github.com/lifepod/lifepod/bench/internal/stamped"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/internal/apart"
	"github.com/lifepod/lifepod/internal/containerd"
)

var (
	module     = flag.String("module", ".", "the module's directory, for what is built in its .cache")
	supervisor = flag.String("supervisor", ".cache/lifepod-supervisor", "prebuilt supervisor; empty means this program again")
	samples    = flag.Int("n", 20, "pods that each starts and removes, after three to warm up")
)

const warmUp = 3

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	f := again
	if apart.Inside() {
		f = run
	}
	if err := f(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

// again runs this program in namespaces of its own.
func again(ctx context.Context) error {
	cmd := apart.Command(ctx, os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

func run(ctx context.Context) (err error) {
	if err := apart.Enter(containerd.Elsewhere); err != nil {
		return err
	}
	peer, err := containerd.Find(*module)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "lpp")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	host, stop, err := serve(peer)
	if err != nil {
		return err
	}
	defer stop()
	peer.Dir, peer.State = filepath.Join(dir, "peer"), "/run/peer"
	peer.Mirrors = map[string]string{stamped.Registry: host}
	d, err := containerd.Start(ctx, peer)
	if err != nil {
		return err
	}
	defer d.Close()
	v, err := d.Runtime.Version(ctx, "v1")
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d CPUs, %s %s with %s, overlayfs, cgroupfs; each %d pods in turn\n\n",
		runtime.Version(), runtime.NumCPU(), v.GetRuntimeName(), v.GetRuntimeVersion(), version(ctx, peer.Runc), *samples)
	all, closeAll, err := subjects(dir, host, peer, d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	if err := compare(ctx, all); err != nil {
		return fmt.Errorf("%w\ncontainerd said:\n%s", err, d.Log())
	}
	return nil
}

// serve makes the images and the registry that both sides pull them from.
func serve(peer containerd.Options) (host string, stop func(), err error) {
	registry := &imagetest.Registry{}
	programs := map[string]string{"stamp": filepath.Join(*module, ".cache/stamp"), "pause": peer.Pause()}
	for name, file := range programs {
		program, err := os.ReadFile(file)
		if err != nil {
			return "", nil, fmt.Errorf("%w; build it with hack/bench", err)
		}
		img := imagetest.Image{Layers: []imagetest.Layer{imagetest.Program(name, program)}}
		img.Config.Config.Entrypoint = []string{"/" + name}
		if _, err := registry.Add(name+":v1", img); err != nil {
			return "", nil, err
		}
	}
	return registry.Start()
}
