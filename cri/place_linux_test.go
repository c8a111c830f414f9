package cri_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/container/runc"
	"github.com/lifepod/lifepod/cri"
	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/netns/bridge"
	"github.com/lifepod/lifepod/netns/netnstest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

var builtDir string

// built are the programs of the tests, made once: the supervisor and the suite's.
// In the VM, where there is no compiler, LIFEPOD_CRI_PROGRAMS names their directory.
var built = sync.OnceValues(func() (string, error) {
	if pre := os.Getenv("LIFEPOD_CRI_PROGRAMS"); pre != "" {
		return pre, nil
	}
	dir, err := os.MkdirTemp("", "lifepod-cri-")
	if err != nil {
		return "", err
	}
	builtDir = dir
	for out, args := range map[string][]string{
		"supervisor": {"CGO_ENABLED=1", "github.com/lifepod/lifepod/cmd/lifepod-supervisor"},
		"task":       {"CGO_ENABLED=0", "./critest/testdata/task"},
	} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, out), args[1])
		cmd.Env = append(os.Environ(), args[0])
		if text, err := cmd.CombinedOutput(); err != nil {
			return "", errors.Join(err, errors.New(string(text)))
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	if dir := os.Getenv("CRI_TEST_AGENT"); dir != "" {
		os.Exit(agent(dir))
	}
	code := m.Run()
	os.RemoveAll(builtDir) // of nothing if nothing was built
	os.Exit(code)
}

// place is one root on the real kernel, in a network of its own.
type place struct {
	dir, host, ref string
	programs       string
}

func newPlace(t testing.TB) *place {
	testutil.RequireRoot(t)
	programs, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "lpcri")
	if err != nil {
		t.Fatal(err)
	}
	id := runc.RootID(dir)
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{dir}, Names: []string{id}})
	p := &place{dir: dir, programs: programs}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p.host = netnstest.NewHost(t)
	t.Cleanup(func() { p.awaitSupervisor(t); p.removeCgroups(t) })
	if err := p.pull(t); err != nil {
		t.Fatal(err)
	}
	return p
}

// pull brings the suite's image into the root's store.
func (p *place) pull(t testing.TB) error {
	task, err := os.ReadFile(filepath.Join(p.programs, "task"))
	if err != nil {
		return err
	}
	var reg imagetest.Registry
	host, stop, err := reg.Start()
	if err != nil {
		return err
	}
	defer stop()
	img := imagetest.Image{Layers: []imagetest.Layer{imagetest.Program("/task", task), {Files: []imagetest.File{
		{Name: "etc/passwd", Link: "/real/passwd"}, {Name: "real/passwd", Data: []byte("root:x:0:0::/:\napp:x:1000:1001::/home:\n")},
		{Name: "etc/group", Data: []byte("app:x:1001:\nextra:x:2000:app\n")},
		{Name: "data/old", Data: []byte("from the image"), UID: 1000, Mode: 0o640}, {Name: "data/link", Link: "old"},
	}}}, Config: imagespec.Image{Config: imagespec.ImageConfig{Volumes: map[string]struct{}{"/data": {}}}}}
	if _, err := reg.Add("task:1", img); err != nil {
		return err
	}
	p.ref = host + "/task:1"
	store, err := image.Open(filepath.Join(p.dir, "root"), image.Options{NoSync: true})
	if err != nil {
		return err
	}
	defer store.Close()
	_, err = store.Pull(t.Context(), p.ref, image.PullOptions{})
	return err
}

func (p *place) cgroupRoot() string { return "/lifepod-" + runc.RootID(p.dir) }
func (p *place) parent() string     { return p.cgroupRoot() + "/kubepods/podsuite" }
func (p *place) logs() string       { return filepath.Join(p.dir, "log") }

// awaitSupervisor waits until none lives.
func (p *place) awaitSupervisor(t testing.TB) {
	f, err := os.Open(filepath.Join(p.dir, "run/supervisor.alive"))
	if err != nil {
		return
	}
	defer f.Close()
	for end := time.Now().Add(20 * time.Second); unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Error("the supervisor does not end")
			return
		}
	}
}

func (p *place) removeCgroups(t testing.TB) {
	m, err := cgroups.Open(cgroups.Options{})
	if err == nil {
		err = m.Remove(context.Background(), p.cgroupRoot())
	}
	if err != nil {
		t.Error(err)
	}
}

// blocks are the real ones, as a program wires them. What open returns closes
// them all.
func (p *place) open(ctx context.Context) (_ *cri.Runtime, closeAll func() error, err error) {
	var closers []func() error
	closeAll = func() error {
		var err error
		for i := len(closers) - 1; i >= 0; i-- {
			err = errors.Join(err, closers[i]())
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll())
		}
	}()
	store, err := image.Open(filepath.Join(p.dir, "root"), image.Options{NoSync: true})
	if err != nil {
		return nil, nil, err
	}
	closers = append(closers, store.Close)
	rt, err := runc.Open(runc.Options{
		Root: p.dir, Run: filepath.Join(p.dir, "run"), Supervisor: filepath.Join(p.programs, "supervisor"), SupervisorIdle: 200 * time.Millisecond,
	})
	if err != nil {
		return nil, nil, err
	}
	closers = append(closers, rt.Close)
	net, err := bridge.New(bridge.Options{
		ID: runc.RootID(p.dir), Dir: filepath.Join(p.dir, "net"), Shared: filepath.Join(p.dir, "shared"), Host: p.host,
		Pools: []netip.Prefix{netip.MustParsePrefix("10.78.0.0/24")},
	})
	if err != nil {
		return nil, nil, err
	}
	closers = append(closers, net.Close)
	cg, err := cgroups.Open(cgroups.Options{Root: p.cgroupRoot()})
	if err == nil {
		err = cg.Ensure(ctx, p.parent(), cgroups.Values{})
	}
	if err != nil {
		return nil, nil, err
	}
	images := cri.NewStore(store, image.PullOptions{})
	r, err := cri.New(ctx, cri.Options{
		Root: filepath.Join(p.dir, "root"), Run: filepath.Join(p.dir, "run"), Images: images, Roots: images, Runtime: rt, Network: net, Cgroups: cg,
		CgroupRoot: p.cgroupRoot() + "/own",
	})
	if err != nil {
		return nil, nil, err
	}
	closers = append(closers, func() error { return r.Close(context.Background()) })
	return r, closeAll, nil
}

// mustOpen closes at the test's end.
func (p *place) mustOpen(t testing.TB) *cri.Runtime {
	t.Helper()
	r, closeAll, err := p.open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closeAll(); err != nil {
			t.Error(err)
		}
		p.wantEmpty(t)
	})
	return r
}

// wantEmpty looks for what CheckLeaks cannot know: files.
func (p *place) wantEmpty(t testing.TB) {
	t.Helper()
	for _, f := range p.left() {
		t.Errorf("left: %s", strings.TrimPrefix(f, p.dir))
	}
}

// left are the files of sandboxes and containers, and of what they use.
func (p *place) left() (files []string) {
	for _, pattern := range []string{"run/cri/*/[^l]*", "run/cri/*/.*", "root/cri/volumes/*", "root/snapshots/keys/*", "net/pods/*", "net/ips/*"} {
		more, _ := filepath.Glob(filepath.Join(p.dir, pattern))
		files = append(files, more...)
	}
	return files
}

// settle waits, while a runtime is open, until that has removed what was half made:
// a process that a dead one had just forked may hold its locks a moment longer.
func (p *place) settle() {
	for end := time.Now().Add(20 * time.Second); len(p.left()) > 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
}

// config is a pod's with a parent cgroup that the caller made.
func (p *place) config(name string) *runtimeapi.PodSandboxConfig {
	return &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: name, Namespace: "test", Uid: name}, Hostname: "pod-host", LogDirectory: filepath.Join(p.logs(), name),
		DnsConfig: &runtimeapi.DNSConfig{Servers: []string{"192.0.2.53"}, Searches: []string{"a.test"}},
		Linux: &runtimeapi.LinuxPodSandboxConfig{
			CgroupParent: p.parent(), Sysctls: map[string]string{"net.core.somaxconn": "77"},
			SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER}},
		},
	}
}

func (p *place) container(name string, words ...string) *runtimeapi.ContainerConfig {
	return &runtimeapi.ContainerConfig{
		Metadata: &runtimeapi.ContainerMetadata{Name: name}, Image: &runtimeapi.ImageSpec{Image: p.ref}, Command: append([]string{"/task"}, words...),
		LogPath: name + ".log",
		Linux: &runtimeapi.LinuxContainerConfig{
			Resources: &runtimeapi.LinuxContainerResources{MemoryLimitInBytes: 64 << 20, CpuShares: 100, OomScoreAdj: 900},
			SecurityContext: &runtimeapi.LinuxContainerSecurityContext{
				NamespaceOptions: &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER},
				MaskedPaths:      []string{"/proc/interrupts"}, ReadonlyPaths: []string{"/proc/sys"},
			},
		},
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
