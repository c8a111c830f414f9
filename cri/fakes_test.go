package cri

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/cri/ocispec"
	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/netns"
	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

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
