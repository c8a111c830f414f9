package netns

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/internal/testutil"
	"golang.org/x/sys/unix"
)

// rooted gives a directory that the test may pin in and that is checked for
// leaks at the end.
func rooted(t testing.TB) string {
	t.Helper()
	testutil.RequireRoot(t)
	dir := t.TempDir()
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{dir}})
	return filepath.Join(dir, "ns")
}

func create(t testing.TB, dir string, kinds Kinds, o Options) Pins {
	t.Helper()
	p, err := Create(dir, kinds, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return p
}

// in runs f on a thread in the given namespaces.
func in(t testing.TB, p Pins, f func() error) {
	t.Helper()
	err := sys.OnOwnThread(func() error {
		for _, k := range []Kinds{Net, IPC, UTS} {
			if *p.of(k) == "" {
				continue
			}
			ns, err := open(*p.of(k), flags[k])
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), flags[k]); err != nil {
				return err
			}
		}
		return f()
	})
	if err != nil {
		t.Error(err)
	}
}

func inode(t testing.TB, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func TestCreatePinsNewNamespacesOfEachKind(t *testing.T) {
	dir := rooted(t)
	o := Options{Hostname: "pod-1", Sysctls: map[string]string{
		"net.ipv4.ip_unprivileged_port_start": "0", "kernel.msgmax": "4096", "fs.mqueue.msg_max": "7"}}
	p := create(t, dir, Net|IPC|UTS, o)
	for kind, path := range map[string]string{"net": p.Net, "ipc": p.IPC, "uts": p.UTS} {
		if inode(t, path) == inode(t, "/proc/self/ns/"+kind) {
			t.Errorf("the %s namespace is the test's own", kind)
		}
	}
	if p.User != "" {
		t.Errorf("a user namespace that nobody asked for: %s", p.User)
	}
	in(t, p, func() error {
		host, err := os.Hostname()
		if host != "pod-1" {
			t.Errorf("hostname %q", host)
		}
		for name, want := range map[string]string{"net/ipv4/ip_unprivileged_port_start": "0", "kernel/msgmax": "4096", "fs/mqueue/msg_max": "7"} {
			if b, _ := os.ReadFile("/proc/sys/" + name); strings.TrimSpace(string(b)) != want {
				t.Errorf("%s is %q, want %s", name, b, want)
			}
		}
		l, lerr := net.Listen("tcp", "127.0.0.1:80")
		if lerr != nil {
			t.Errorf("loopback is not up: %v", lerr)
			return lerr
		}
		return errors.Join(err, l.Close())
	})
	if got, err := Load(dir); err != nil || got != p {
		t.Errorf("Load = %+v, %v, want %+v", got, err, p)
	}
	if _, err := Create(dir, Net, Options{}); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second Create over living pins: %v", err)
	}
	if err := Valid(p.Net); err != nil {
		t.Errorf("the refused Create touched the pins: %v", err)
	}
}

func TestCreateInUserNamespace(t *testing.T) {
	dir := rooted(t)
	ids := []IDMap{{Inside: 0, Outside: 200000, Size: 65536}}
	p := create(t, dir, Net|IPC|UTS|User, Options{Hostname: "u", UIDs: ids, GIDs: ids,
		Sysctls: map[string]string{"net.ipv4.ip_unprivileged_port_start": "0", "kernel.msgmax": "4096"}})
	for _, path := range []string{p.Net, p.IPC, p.UTS} {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		owner, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_USERNS)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		var st unix.Stat_t
		_ = unix.Fstat(owner, &st)
		unix.Close(owner)
		if st.Ino != inode(t, p.User) {
			t.Errorf("%s belongs to another user namespace", path)
		}
	}
	in(t, p, func() error {
		host, err := os.Hostname()
		if host != "u" {
			t.Errorf("hostname %q", host)
		}
		return err
	})
}

func TestFailedCreateLeavesNothing(t *testing.T) {
	for name, o := range map[string]Options{
		"sysctl that is not there":     {Sysctls: map[string]string{"net.ipv4.no_such_thing": "1"}},
		"value that the kernel denies": {Sysctls: map[string]string{"net.ipv4.ip_forward": "many"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := rooted(t)
			if _, err := Create(dir, Net|UTS, o); err == nil || !strings.Contains(err.Error(), "sysctl") {
				t.Fatalf("got %v", err)
			}
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the directory is still there: %v", err)
			}
		})
	}
	t.Run("ids that are not there", func(t *testing.T) {
		dir := rooted(t)
		ids := []IDMap{{0, 1000, 0}}
		if _, err := Create(dir, Net|User, Options{UIDs: ids, GIDs: ids}); err == nil {
			t.Error("an empty map was accepted")
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the directory is still there: %v", err)
		}
	})
}

func TestRemoveIsIdempotent(t *testing.T) {
	dir := rooted(t)
	if err := Remove(dir); err != nil {
		t.Errorf("of what never was: %v", err)
	}
	p := create(t, dir, Net|UTS, Options{})
	// As after a crash: one pin's mount gone, the other mounted twice.
	if err := unix.Unmount(p.Net, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(p.UTS, p.UTS, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(dir); err != nil || got.Net != "" || got.UTS != p.UTS {
		t.Errorf("Load = %+v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "other"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Remove(dir); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := filepath.Glob(dir + "/*"); len(got) != 1 {
		t.Errorf("left %v, want only the file that is not ours", got)
	}
	os.Remove(filepath.Join(dir, "other"))
	if err := Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the empty directory stays: %v", err)
	}
}

func TestDoRunsInsideAndComesBack(t *testing.T) {
	p := create(t, rooted(t), Net, Options{})
	before := inode(t, "/proc/self/ns/net")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := Do(p.Net, func() error {
				if inode(t, "/proc/thread-self/ns/net") != inode(t, p.Net) {
					t.Error("f does not run in the namespace")
				}
				return os.ErrDeadlineExceeded
			})
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("f's error got lost: %v", err)
			}
			if inode(t, "/proc/thread-self/ns/net") != before {
				t.Error("the thread did not come back")
			}
		})
	}
	wg.Wait()
}

func TestDoRefusesWhatIsNoNamespace(t *testing.T) {
	dir := rooted(t)
	p := create(t, dir, Net|UTS, Options{})
	fifo, plain := filepath.Join(t.TempDir(), "fifo"), filepath.Join(t.TempDir(), "plain")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	never := func() error { t.Error("f ran"); return nil }
	for _, path := range []string{fifo, plain, t.TempDir(), p.UTS, "/dev/null"} {
		if err := Do(path, never); !errors.Is(err, ErrNotNamespace) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := Do(filepath.Join(dir, "no"), never); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a path that is not there: %v", err)
	}
}

func BenchmarkCreate(b *testing.B) {
	testutil.RequireRoot(b)
	for name, kinds := range map[string]Kinds{"net": Net, "net+ipc+uts": Net | IPC | UTS} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				dir := filepath.Join(b.TempDir(), "ns")
				if _, err := Create(dir, kinds, Options{}); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := Remove(dir); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
