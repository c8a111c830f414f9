// Command pods measures pods on this machine, as BENCHMARKS.md keeps it: start
// (from Run to the first statement of the container's main), removal (until
// nothing is left), memory, and what idle pods cost. It needs root, and a machine
// on which nothing else runs.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/bench/internal/stamped"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/lifecycle/local"
)

var (
	stamp      = flag.String("stamp", ".cache/stamp", "the measured pod's program")
	supervisor = flag.String("supervisor", ".cache/lifepod-supervisor", "prebuilt supervisor; empty means this program again")
	samples    = flag.Int("n", 40, "pods to start and remove, one after another")
	many       = flag.Int("many", 50, "idle pods whose memory is measured; 0 for none")
	idle       = flag.Duration("idle", 0, "how long to watch 20 idle pods; 0 for not at all")
	upgrades   = flag.Int("upgrades", 5, "upgrades of the supervisor after which its memory is measured again, with -many; 0 for none")
	watched    = flag.String("watch", "", "look at these two processes for this program; not for users")
	runDir     = flag.String("run", "", "where the run directory is made; empty means on the root's disk, /dev/shm is a tmpfs, as /run mostly is")
	seccomp    = flag.Bool("seccomp", false, "give the container the default seccomp profile")
)

func main() {
	flag.Parse()
	work := func() error { return run(context.Background()) }
	if *watched != "" {
		work = func() error { return watcher(*watched) }
	}
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	root, err := os.MkdirTemp("", "lpbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	o := local.Options{Root: root}
	if *runDir != "" {
		if o.Run, err = os.MkdirTemp(*runDir, "lpbench"); err != nil {
			return err
		}
		defer os.RemoveAll(o.Run)
	}
	if *supervisor != "" {
		if o.Supervisor, err = filepath.Abs(*supervisor); err != nil {
			return err
		}
		if _, err := os.Stat(o.Supervisor); err != nil {
			return fmt.Errorf("%w; build it with make bench", err)
		}
	}
	stop, err := serve(&o)
	if err != nil {
		return err
	}
	defer stop()
	node, err := local.Open(o)
	if err != nil {
		return err
	}
	defer node.Close()
	b := &bench{node: node, options: o, root: root}
	first, took, err := b.start(ctx)
	if err != nil {
		return err
	}
	if err := first.Stop(ctx); err != nil {
		return err
	}
	fmt.Printf("first pod of a root (image pulled, supervisor started): %s ms\n", stamped.Ms(took))
	fmt.Printf("%s, %d CPUs, supervisor %q, %d samples\n\n", runtime.Version(), runtime.NumCPU(), *supervisor, *samples)
	// Memory first: of a supervisor that has started nothing else.
	if *many > 0 {
		if err := b.memory(ctx); err != nil {
			return err
		}
	}
	if err := b.latencies(ctx); err != nil {
		return err
	}
	if *idle > 0 {
		return b.idle(ctx)
	}
	return nil
}

// serve makes the image and the registry that it is pulled from.
func serve(o *local.Options) (stop func(), err error) {
	program, err := os.ReadFile(*stamp)
	if err != nil {
		return nil, fmt.Errorf("%w; build it with make bench", err)
	}
	registry := &imagetest.Registry{}
	img := imagetest.Image{Layers: []imagetest.Layer{imagetest.Program("stamp", program)}}
	if _, err := registry.Add("stamp:v1", img); err != nil {
		return nil, err
	}
	host, stop, err := registry.Start()
	if err != nil {
		return nil, err
	}
	o.Images.Client.Mirrors = map[string]string{stamped.Registry: host}
	return stop, nil
}

type bench struct {
	node    *local.Node
	options local.Options
	root    string
	next    int
}

// start runs a pod and returns how long it took to the first statement of its
// program.
func (b *bench) start(ctx context.Context) (*local.Handle, time.Duration, error) {
	b.next++
	return stamped.Start(ctx, b.node, b.root, fmt.Sprintf("p%d", b.next), func(p *corev1.Pod) {
		if *seccomp {
			p.Spec.SecurityContext = &corev1.PodSecurityContext{
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			}
		}
	})
}
