package cri

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/cri/ocispec"
	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/netns"
	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// fakeRuntime runs programs of critest's little language in memory. It outlives
// the Runtimes that are made over it, as a supervisor does.
type fakeRuntime struct {
	mu      sync.Mutex
	all     map[string]*fakeContainer
	subs    map[chan container.Event]bool
	fail    map[string]error // by method
	updates []*specs.LinuxResources
	reopens int
}

type fakeContainer struct {
	spec   container.Spec
	st     container.State
	stdin  string
	signal []os.Signal
	ended  chan struct{}
}

func (f *fakeRuntime) errOf(method string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fail[method]
}

func (f *fakeRuntime) Create(_ context.Context, s container.Spec) error {
	if err := f.errOf("Create"); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[string]*fakeContainer{}
	}
	if f.all[s.ID] != nil {
		return container.ErrExists
	}
	f.all[s.ID] = &fakeContainer{spec: s, ended: make(chan struct{}), st: container.State{ID: s.ID, Status: container.Created, Pid: 1000 + len(f.all), CreatedAt: time.Now()}}
	f.tell(s.ID, container.EventCreated)
	return nil
}

func (f *fakeRuntime) tell(id string, k container.EventKind) {
	for ch := range f.subs {
		select {
		case ch <- container.Event{ID: id, Kind: k}:
		default:
		}
	}
}

func (f *fakeRuntime) Start(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.all[id]
	if c == nil {
		return container.ErrNotFound
	}
	if c.st.Status != container.Created {
		return container.ErrState
	}
	args := c.spec.OCI.Process.Args
	if args[0] == "/nothing" {
		f.end(c, 128)
		return &container.StartError{ID: id, Err: errors.New(`exec: "/nothing": stat /nothing: no such file or directory`)}
	}
	c.st.Status, c.st.StartedAt = container.Running, time.Now()
	f.tell(id, container.EventStarted)
	if len(args) > 2 && args[1] == "exit" {
		code, _ := strconv.Atoi(args[2])
		f.end(c, code)
	}
	if len(args) > 2 && args[1] == "echo" {
		line := time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z07:00") + " stdout F " + args[2] + "\n"
		if err := os.WriteFile(c.spec.Log, []byte(line), 0o640); err != nil {
			return err
		}
		f.end(c, 0)
	}
	return nil
}

func (f *fakeRuntime) end(c *fakeContainer, code int) {
	if c.st.Status == container.Stopped {
		return
	}
	c.st.Status, c.st.FinishedAt, c.st.ExitCode = container.Stopped, time.Now(), code
	close(c.ended)
	f.tell(c.st.ID, container.EventStopped)
}

func (f *fakeRuntime) Signal(_ context.Context, id string, sig os.Signal) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.all[id]
	if c == nil {
		return container.ErrNotFound
	}
	c.signal = append(c.signal, sig)
	ignores := len(c.spec.OCI.Process.Args) > 1 && c.spec.OCI.Process.Args[1] == "ignore"
	if n := sig.(syscall.Signal); n == sigkill || !ignores {
		f.end(c, 128+int(n))
	}
	return nil
}

func (f *fakeRuntime) Delete(_ context.Context, id string) error {
	if err := f.errOf("Delete"); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.all[id]; c != nil {
		f.end(c, 137)
		delete(f.all, id)
		f.tell(id, container.EventDeleted)
	}
	return nil
}

func (f *fakeRuntime) Exec(ctx context.Context, id string, e container.Exec) (int, error) {
	f.mu.Lock()
	c := f.all[id]
	f.mu.Unlock()
	if c == nil {
		return 0, container.ErrNotFound
	}
	switch args := append(e.Args, "", ""); args[1] {
	case "await":
	case "echo":
		fmt.Fprintln(e.Stdout, args[2])
	case "flood":
		b := make([]byte, 1<<20)
		for range 20 {
			_, _ = e.Stdout.Write(b)
		}
	case "cat":
		_, err := io.Copy(e.Stdout, e.Stdin)
		return 0, err
	case "exit":
		fmt.Fprint(e.Stderr, "bye")
		return strconv.Atoi(args[2])
	case "sleep":
		<-ctx.Done()
		return 0, ctx.Err()
	default:
		return 0, errors.New("executable file not found in $PATH")
	}
	return 0, nil
}

func (f *fakeRuntime) State(_ context.Context, id string) (container.State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.all[id]; c != nil {
		return c.st, nil
	}
	return container.State{}, container.ErrNotFound
}

func (f *fakeRuntime) List(context.Context) ([]container.State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []container.State
	for _, c := range f.all {
		out = append(out, c.st)
	}
	return out, nil
}

func (f *fakeRuntime) Events(ctx context.Context) iter.Seq2[container.Event, error] {
	return func(yield func(container.Event, error) bool) {
		ch := make(chan container.Event, 64)
		f.mu.Lock()
		if f.subs == nil {
			f.subs = map[chan container.Event]bool{}
		}
		f.subs[ch] = true
		f.mu.Unlock()
		defer func() { f.mu.Lock(); delete(f.subs, ch); f.mu.Unlock() }()
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-ch:
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func (f *fakeRuntime) Attach(ctx context.Context, id string, s container.Streams) error {
	f.mu.Lock()
	c := f.all[id]
	f.mu.Unlock()
	if s.Stdin != nil {
		if _, err := io.Copy(s.Stdout, s.Stdin); err != nil {
			return err
		}
		return nil
	}
	select {
	case <-c.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fakeRuntime) Update(_ context.Context, _ string, r *specs.LinuxResources) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.updates = append(f.updates, r)
	return f.fail["Update"]
}

func (f *fakeRuntime) ReopenLog(context.Context, string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reopens++
	return nil
}

func (f *fakeRuntime) specOf(id string) *specs.Spec {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all[id].spec.OCI
}

func (f *fakeRuntime) signals(id string) []os.Signal {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]os.Signal(nil), f.all[id].signal...)
}

// fakeImages has one image, and pulls it again.
type fakeImages struct {
	mu      sync.Mutex
	removed bool
	img     image.Image
	auth    Auth
	mounted map[string]string
	fail    map[string]error
}

const fakeRef = "docker.io/library/task:1"

func newFakeImages() *fakeImages {
	img := image.Image{ID: digest.FromString("task"), Tags: []string{fakeRef}, Digests: []string{"docker.io/library/task@" + digest.FromString("manifest").String()}, Size: 1234}
	img.Config.Config = imagespec.ImageConfig{
		Entrypoint: []string{"/task"}, Cmd: []string{"sleep"}, User: "app", StopSignal: "SIGUSR1", WorkingDir: "work",
		Env: []string{"PATH=/bin", "LANG=C", "NOVALUE"}, Volumes: map[string]struct{}{"/data": {}, "/etc/hosts": {}},
	}
	return &fakeImages{img: img, mounted: map[string]string{}}
}

func (f *fakeImages) Pull(_ context.Context, ref string, a Auth) (image.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.auth = a
	if ref != fakeRef {
		return image.Image{}, fmt.Errorf("pull %s: %w", ref, image.ErrNotFound)
	}
	f.removed = false
	return f.img, nil
}

func (f *fakeImages) Get(_ context.Context, ref string) (image.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.removed || ref != fakeRef && ref != f.img.ID.String() && ref != f.img.Digests[0] {
		return image.Image{}, fmt.Errorf("%s: %w", ref, image.ErrNotFound)
	}
	return f.img, nil
}

func (f *fakeImages) List(context.Context) ([]image.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.removed {
		return nil, nil
	}
	return []image.Image{f.img}, nil
}

func (f *fakeImages) Remove(_ context.Context, ref string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.removed = f.removed || ref == fakeRef || ref == f.img.ID.String()
	return nil
}

func (f *fakeImages) Usage(context.Context) (Usage, error) {
	return Usage{Path: "/images", Bytes: 1 << 20, Inodes: 7}, nil
}

func (f *fakeImages) Mount(_ context.Context, key string, _ image.Image, target string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mounted[key] = target
	if err := f.fail["Mount"]; err != nil {
		return err
	}
	for name, text := range map[string]string{
		"etc/passwd": "root:x:0:0::/:\napp:x:1000:1001::/:\n", "etc/group": "root:x:0:\napp:x:1001:\nextra:x:2000:other,app\n", "data/old": "from the image",
	} {
		p := filepath.Join(target, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeImages) Unmount(_ context.Context, key, target string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.mounted, key)
	entries, _ := os.ReadDir(target)
	for _, e := range entries {
		_ = os.RemoveAll(filepath.Join(target, e.Name()))
	}
	return nil
}

func (f *fakeImages) roots() int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.mounted) }

// fakeNet remembers what is attached.
type fakeNet struct {
	mu       sync.Mutex
	attached map[string]netns.Attachment
	fail     map[string]error
}

func (f *fakeNet) Setup(_ context.Context, a netns.Attachment) (netns.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.attached == nil {
		f.attached = map[string]netns.Attachment{}
	}
	f.attached[a.ID] = a
	return netns.Result{Interface: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/24"), netip.MustParsePrefix("fd00::3/64")}}, f.fail["Setup"]
}

func (f *fakeNet) Teardown(_ context.Context, a netns.Attachment) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fail["Teardown"]; err != nil {
		return err
	}
	delete(f.attached, a.ID)
	return nil
}

func (f *fakeNet) Check(context.Context, netns.Attachment) error { return nil }
func (f *fakeNet) Ready(context.Context) error                   { return f.fail["Ready"] }
func (f *fakeNet) count() int                                    { f.mu.Lock(); defer f.mu.Unlock(); return len(f.attached) }

// fakeNS pins namespaces as files, with their options in them.
type fakeNS struct {
	mu   sync.Mutex
	last netns.Options
}

func (f *fakeNS) Create(dir string, k netns.Kinds, o netns.Options) (netns.Pins, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = o
	p := netns.Paths(dir, k)
	err := os.Mkdir(dir, 0o700)
	for _, path := range []string{p.Net, p.IPC, p.UTS} {
		if path != "" {
			err = errors.Join(err, os.WriteFile(path, nil, 0o600))
		}
	}
	return p, err
}

func (f *fakeNS) Load(dir string) (p netns.Pins, _ error) {
	for k, to := range map[netns.Kinds]*string{netns.Net: &p.Net, netns.IPC: &p.IPC, netns.UTS: &p.UTS} {
		all := netns.Paths(dir, k)
		path := all.Net + all.IPC + all.UTS
		if _, err := os.Stat(path); err == nil {
			*to = path
		}
	}
	return p, nil
}

func (f *fakeNS) Remove(dir string) error { return os.RemoveAll(dir) }

type fakeCgroups struct {
	mu   sync.Mutex
	made map[string]bool
}

func (f *fakeCgroups) Ensure(_ context.Context, p string, _ cgroups.Values) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.made == nil {
		f.made = map[string]bool{}
	}
	f.made[p] = true
	return nil
}

func (f *fakeCgroups) Remove(_ context.Context, p string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.made, p)
	return nil
}

func (f *fakeCgroups) Stats(context.Context, string) (cgroups.Stats, error) {
	return cgroups.Stats{Time: time.Unix(9, 0), CPU: 5 * time.Second, MemoryUsage: 100, MemoryWorkingSet: 60, MemoryLimit: 1000, Pids: 3,
		CPUPressure: &cgroups.Pressure{SomeAvg10: 1.5, SomeTotal: 7}}, nil
}

// fakeMachine mounts nothing.
type fakeMachine struct {
	host ocispec.Host
	boot string
}

func (m *fakeMachine) facts() (ocispec.Host, error) {
	h := m.host
	h.Hostname, h.Capabilities = "node", append([]string{"CAP_NET_ADMIN", "CAP_SYS_ADMIN"}, ocispec.DefaultCapabilities...)
	h.RecursiveReadOnly, h.MinOOMScoreAdj, h.MaxOpenFiles = true, -500, 4096
	return h, nil
}
func (m *fakeMachine) bootID() (string, error)   { return m.boot, nil }
func (m *fakeMachine) mountShm(dir string) error { return nil }
func (m *fakeMachine) unmount(dir string) error  { return nil }
func (m *fakeMachine) source(mt *runtimeapi.Mount) (string, error) {
	return mt.GetHostPath(), nil
}
func (m *fakeMachine) devices(d *runtimeapi.Device) ([]ocispec.Device, error) {
	return []ocispec.Device{{LinuxDevice: specs.LinuxDevice{Path: d.GetContainerPath(), Type: "c", Major: 1, Minor: 5}, Access: d.GetPermissions()}}, nil
}
func (m *fakeMachine) hostDevices() ([]specs.LinuxDevice, error) {
	return []specs.LinuxDevice{{Path: "/dev/fuse", Type: "c"}}, nil
}
