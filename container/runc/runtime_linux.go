package runc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc/internal/boot"
	"github.com/lifepod/lifepod/container/runc/internal/wire"
	"github.com/lifepod/lifepod/internal/sys"
)

// Runtime is a connection to the supervisor of one root. It is made when it is
// needed and made again when it breaks. All methods are safe for concurrent use.
type Runtime struct {
	opts Options
	cfg  boot.Config
	// dialing is held while a connection is being made.
	dialing chan struct{}
	closing chan struct{}
	wg      sync.WaitGroup

	mu     sync.Mutex
	link   *link
	closed bool
	place  *sys.Occupied // the run directory, once a supervisor was needed
	subs   map[*subscriber]bool
	held   map[string]*held
}

var (
	_ container.Runtime     = (*Runtime)(nil)
	_ container.Preparer    = (*Runtime)(nil)
	_ container.Attacher    = (*Runtime)(nil)
	_ container.Updater     = (*Runtime)(nil)
	_ container.LogReopener = (*Runtime)(nil)
)

// Open checks the options. It starts nothing yet: that happens with the first
// container, or at once where containers of an earlier program are found.
func Open(o Options) (*Runtime, error) {
	cfg, err := o.config()
	if err != nil {
		return nil, err
	}
	return &Runtime{
		opts: o, cfg: cfg, dialing: make(chan struct{}, 1), closing: make(chan struct{}),
		subs: map[*subscriber]bool{}, held: map[string]*held{},
	}, nil
}

// Close ends the connection. Containers and their supervisor go on; execs and
// attaches of this Runtime are ended. Closing twice is nil.
func (r *Runtime) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	close(r.closing)
	l := r.link
	r.mu.Unlock()
	if l != nil {
		l.wire.Close()
	}
	r.wg.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, h := range r.held {
		h.close()
		delete(r.held, id)
	}
	r.leave()
	return nil
}

// enter makes the run directory and keeps it while r is open.
func (r *Runtime) enter() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.place != nil {
		return nil
	}
	place, err := sys.Occupy(r.cfg.Run, 0o700)
	if err != nil {
		return fmt.Errorf("make run directory: %w", err)
	}
	r.place = place
	return nil
}

// leave removes what supervisors leave in the run directory, if nobody else is
// there: the last supervisor was killed, or ended before us. r.mu is held.
func (r *Runtime) leave() {
	if _, err := os.Stat(r.cfg.Run); r.place == nil && err == nil && checkPrivate(r.cfg.Run) == nil {
		r.place, _ = sys.Occupy(r.cfg.Run, 0o700)
	}
	r.place.Leave(r.cfg.CleanUp)
	r.place = nil
}

// Prepare implements container.Preparer: it sees to it that a supervisor runs, and
// that the kernel will not keep it waiting.
func (r *Runtime) Prepare(ctx context.Context) {
	if err := r.do(ctx, true, wire.OpPrepare, struct{}{}, nil); err != nil {
		r.opts.Log.V(1).Info("prepare for a container", "error", err.Error())
	}
}

// Create implements container.Runtime.
func (r *Runtime) Create(ctx context.Context, s container.Spec) error {
	if err := s.Validate(); err != nil {
		return err
	}
	body := wire.Create{Spec: s, Runtime: r.opts.Runtime}
	err := r.do(ctx, true, wire.OpCreate, body, nil)
	if !errors.Is(err, errLost) {
		return err
	}
	// The next supervisor has removed what was half made, or kept what was whole.
	if _, err := r.State(ctx, s.ID); !errors.Is(err, container.ErrNotFound) {
		return err
	}
	return r.do(ctx, true, wire.OpCreate, body, nil)
}

// Start implements container.Runtime.
func (r *Runtime) Start(ctx context.Context, id string) error {
	err := r.do(ctx, false, wire.OpStart, wire.Target{ID: id}, nil)
	if !errors.Is(err, errLost) {
		return err
	}
	err = r.do(ctx, false, wire.OpStart, wire.Target{ID: id}, nil)
	if !errors.Is(err, container.ErrState) {
		return err
	}
	if st, serr := r.State(ctx, id); serr == nil && !st.StartedAt.IsZero() {
		return nil // the next supervisor finished the start that was under way
	}
	return err
}

// Signal implements container.Runtime.
func (r *Runtime) Signal(ctx context.Context, id string, sig os.Signal) error {
	n, ok := sig.(syscall.Signal)
	if !ok {
		return fmt.Errorf("signal container %s: %v is not a signal of this system", id, sig)
	}
	return r.again(ctx, wire.OpSignal, wire.Signal{ID: id, Signal: int(n)}, nil)
}

// Delete implements container.Runtime.
func (r *Runtime) Delete(ctx context.Context, id string) error {
	err := r.again(ctx, wire.OpDelete, wire.Target{ID: id}, nil)
	if errors.Is(err, container.ErrNotFound) {
		return nil
	}
	return err
}

// State implements container.Runtime.
func (r *Runtime) State(ctx context.Context, id string) (container.State, error) {
	var st container.State
	err := r.again(ctx, wire.OpState, wire.Target{ID: id}, &st)
	return st, err
}

// List implements container.Runtime. The containers come ordered by id.
func (r *Runtime) List(ctx context.Context) ([]container.State, error) {
	var all []container.State
	err := r.again(ctx, wire.OpList, struct{}{}, &all)
	if errors.Is(err, container.ErrNotFound) {
		return nil, nil // there is no supervisor, as there are no containers
	}
	return all, err
}

// Update implements container.Updater.
func (r *Runtime) Update(ctx context.Context, id string, res *specs.LinuxResources) error {
	return r.again(ctx, wire.OpUpdate, wire.Update{ID: id, Resources: res}, nil)
}

// ReopenLog implements container.LogReopener.
func (r *Runtime) ReopenLog(ctx context.Context, id string) error {
	return r.again(ctx, wire.OpReopen, wire.Target{ID: id}, nil)
}

// again does what may be done twice, until a supervisor has lived through it.
func (r *Runtime) again(ctx context.Context, op string, body, result any) error {
	for try := 0; ; try++ {
		err := r.do(ctx, false, op, body, result)
		if !errors.Is(err, errLost) || try == 3 {
			return err
		}
	}
}

// do makes one plain call. Without need, it does not start a supervisor where
// there are no containers, and answers ErrNotFound.
func (r *Runtime) do(ctx context.Context, need bool, op string, body, result any) error {
	l, err := r.connect(ctx, need)
	if err != nil {
		return err
	}
	k, err := l.call(op, body)
	if err != nil {
		return err
	}
	defer k.forget()
	m, err := k.wait(ctx)
	if err != nil {
		return err
	}
	closeFiles(m.Files)
	if err := m.Err.Local(); err != nil {
		return err
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(m.Body, result); err != nil {
		return fmt.Errorf("decode the supervisor's answer to %s: %w", op, err)
	}
	return nil
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
