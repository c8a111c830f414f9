package cri

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/cri/ocispec"
	"github.com/lifepod/lifepod/cri/stream"
	"github.com/lifepod/lifepod/internal/sys"
	"google.golang.org/grpc/codes"
	criapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Runtime is a CRI runtime. Its methods may be called concurrently; operations
// on one sandbox or container are serial, but for stops and execs. Messages that
// are passed in are not kept, those that are returned belong to the caller.
type Runtime struct {
	o       Options
	machine machine
	host    ocispec.Host
	boot    string
	started time.Time

	sandboxes  *table[*sandbox]
	containers *table[*ctr]
	names      names
	ops        keyed
	stops      signalled
	events     hub
	ears       map[string]*ear // by runtime handler
	oomOnce    sync.Once

	place *sys.Occupied // the directory of all records
	stop  context.CancelFunc
	wg    sync.WaitGroup
}

var (
	_ criapi.RuntimeService      = (*Runtime)(nil)
	_ criapi.ImageManagerService = (*Runtime)(nil)
	_ stream.Execer              = (*Runtime)(nil)
	_ stream.Attacher            = (*Runtime)(nil)
	_ stream.PortForwarder       = (*Runtime)(nil)
)

// New takes up what lies in the directories: it removes what a dead process left
// half made, for which it may need the network, and listens to the container
// runtimes while there are sandboxes. Close ends it and leaves all containers running.
func New(ctx context.Context, o Options) (*Runtime, error) {
	r := &Runtime{o: o.defaults(), started: time.Now(), ears: map[string]*ear{}}
	r.machine = r.o.machine
	for name, rt := range r.runtimes() {
		r.ears[name] = &ear{handler: name, rt: rt, wake: make(chan struct{}, 1)}
	}
	if err := r.o.check(); err != nil {
		return nil, err
	}
	if err := r.open(); err != nil {
		r.leave()
		return nil, fmt.Errorf("open CRI runtime in %s: %w", o.Run, err)
	}
	busy, err := r.recover(ctx)
	if err != nil {
		r.leave()
		return nil, fmt.Errorf("clean up in %s: %w", o.Run, err)
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = cancel
	for _, e := range r.ears {
		r.wg.Go(func() { r.listen(run, e) })
	}
	if busy {
		r.wg.Go(func() { r.recoverLater(run) })
	}
	return r, nil
}

func (o Options) defaults() Options {
	if o.Namespaces == nil {
		o.Namespaces = pinned{}
	}
	if o.CgroupRoot == "" {
		o.CgroupRoot = "/lifepod"
	}
	if o.Version == "" {
		o.Version = "0.0.0"
	}
	if o.machine == nil {
		o.machine = here{}
	}
	return o
}

func (o Options) check() error {
	switch {
	case !filepath.IsAbs(o.Root) || !filepath.IsAbs(o.Run):
		return fmt.Errorf("cri.Options: Root %q and Run %q must be absolute paths", o.Root, o.Run)
	case o.Images == nil || o.Roots == nil || o.Runtime == nil || o.Network == nil:
		return errors.New("cri.Options: Images, Roots, Runtime and Network must be set")
	}
	return nil
}

func (r *Runtime) open() (err error) {
	if r.host, err = r.machine.facts(); err != nil {
		return err
	}
	if r.boot = r.o.BootID; r.boot == "" {
		if r.boot, err = r.machine.bootID(); err != nil {
			return err
		}
	}
	dir := filepath.Join(r.o.Run, "cri")
	if r.place, err = sys.Occupy(dir, 0o711); err != nil {
		return err
	}
	sys.Spread(dir)
	if r.sandboxes, err = newTable(filepath.Join(dir, "sandboxes"), func() *sandbox { return new(sandbox) }); err != nil {
		return err
	}
	if r.containers, err = newTable(filepath.Join(dir, "containers"), func() *ctr { return new(ctr) }); err != nil {
		return err
	}
	r.names = names{filepath.Join(dir, "names"), func(id string) bool {
		_, err := r.sandboxes.get(id)
		_, err2 := r.containers.get(id)
		return err == nil || err2 == nil
	}}
	err = errors.Join(os.MkdirAll(r.names.dir, 0o700), os.MkdirAll(r.volumesDir(""), 0o711))
	sys.Spread(r.volumesDir(""))
	return err
}

// volumesDir is where a container's anonymous volumes lie.
func (r *Runtime) volumesDir(id string) string { return filepath.Join(r.o.Root, "cri", "volumes", id) }

// runtimes are all of them, the unnamed one first of name "".
func (r *Runtime) runtimes() map[string]container.Runtime {
	all := map[string]container.Runtime{"": r.o.Runtime}
	for name, rt := range r.o.Handlers {
		all[name] = rt
	}
	return all
}

// runtime finds the one of a runtime handler.
func (r *Runtime) runtime(handler string) (container.Runtime, error) {
	if rt := r.runtimes()[handler]; rt != nil {
		return rt, nil
	}
	return nil, errorf(codes.InvalidArgument, "no runtime for %q is configured", handler)
}

// prepare has the runtime of a handler make ready for a container.
func (r *Runtime) prepare(ctx context.Context, handler string) {
	if p, ok := r.runtimes()[handler].(container.Preparer); ok {
		p.Prepare(ctx)
	}
}

// Close stops listening and ends all GetContainerEvents. Containers go on.
func (r *Runtime) Close(context.Context) error {
	r.stop()
	r.wg.Wait()
	r.events.close()
	r.leave()
	return nil
}

// leave removes the directories where no records are, if no other process uses
// them.
func (r *Runtime) leave() {
	r.place.Leave(func() {
		dir := filepath.Join(r.o.Run, "cri")
		for _, table := range []string{"sandboxes", "containers"} {
			left, _ := os.ReadDir(filepath.Join(dir, table))
			if len(left) > 1 || len(left) == 1 && left[0].Name() != lockFile {
				return
			}
		}
		for _, part := range []string{"sandboxes", "containers", "names"} {
			_ = os.RemoveAll(filepath.Join(dir, part))
		}
	})
}

// Version tells name and version.
func (r *Runtime) Version(context.Context, string) (*runtimeapi.VersionResponse, error) {
	return &runtimeapi.VersionResponse{Version: "0.1.0", RuntimeName: "lifepod", RuntimeVersion: r.o.Version, RuntimeApiVersion: "v1"}, nil
}

// cleanupTime bounds what is undone after a failure, when the caller's context
// may have ended.
const cleanupTime = 2 * time.Minute

func cleanup(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
}
