//go:build cgo

package mounts

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	_ "github.com/opencontainers/cgroups/devices" // without it no device rule can be set
	"github.com/opencontainers/runc/libcontainer"
	_ "github.com/opencontainers/runc/libcontainer/nsenter" // its constructor enters namespaces
	"github.com/opencontainers/runc/libcontainer/specconv"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container/containertest"
	"github.com/lifepod/lifepod/internal/testutil"
)

// The test's own program is libcontainer's init.
func init() {
	if len(os.Args) > 1 && os.Args[1] == "init" && os.Getenv("_LIBCONTAINER_INITPIPE") != "" {
		Arm()
		libcontainer.Init()
	}
}

const cgroup = "/lifepod-mounts-test"

// warm has libcontainer open what it keeps open.
var warm sync.Once

// place is a directory with a root file system and things to mount.
type place struct{ dir, rootfs string }

func newPlace(t *testing.T) place {
	t.Helper()
	testutil.RequireRoot(t)
	dir := t.TempDir()
	p := place{dir, filepath.Join(dir, "rootfs")}
	warm.Do(func() {
		if _, err := p.run(t, containertest.OCI(p.rootfs, cgroup, "/testbox", "sleep", "600s"), false); err != nil {
			t.Fatal(err)
		}
	})
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{dir}, Names: []string{cgroup[1:]}})
	for _, d := range []string{"vol/below", "ro"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "hosts"), []byte("h"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", filepath.Join(dir, "vol/below"), "tmpfs", unix.MS_NOSUID, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(filepath.Join(dir, "vol/below"), 0); err != nil {
			t.Error(err)
		}
	})
	return p
}

// fresh gives a root file system that nothing was mounted in.
func (p place) fresh(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(p.rootfs); err != nil {
		t.Fatal(err)
	}
	containertest.Rootfs(t, p.rootfs)
	for _, d := range []string{"var", "run"} {
		if err := os.Mkdir(filepath.Join(p.rootfs, d), 0o751); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"var/run": "../run", "data": "/tmp", "etc/hosts": "/etc/elsewhere", "into": "/proc/sys", "top": "/"} {
		if err := os.Symlink(to, filepath.Join(p.rootfs, link)); err != nil {
			t.Fatal(err)
		}
	}
}

// spec is that of a pod's container.
func (p place) spec() *specs.Spec {
	s := containertest.OCI(p.rootfs, cgroup, "/testbox", "sleep", "600s")
	bind := func(src, dst string, options ...string) specs.Mount {
		return specs.Mount{Type: "bind", Source: filepath.Join(p.dir, src), Destination: dst, Options: append([]string{"rbind"}, options...)}
	}
	s.Mounts = []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"}},
		{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"mode=1777"}},
		bind("hosts", "/etc/resolv.conf", "rprivate", "rw"), bind("hosts", "/etc/new/file", "rprivate", "ro"),
		bind("vol", "/data/x", "rslave", "ro"), bind("vol", "/var/run/secrets/a/b", "rprivate", "rw"),
		bind("ro", "/dev/termination-log", "rprivate", "rw", "noexec"), bind("vol", "/plain"),
	}
	s.Linux.MaskedPaths = []string{"/proc/kcore", "/proc/keys", "/proc/keys", "/proc/acpi", "/proc/scsi", "/sys/firmware", "/nothing/here", "/etc/hosts"}
	s.Linux.ReadonlyPaths = []string{"/proc/bus", "/proc/sys", "/proc/sysrq-trigger", "/nothing/here", "/run"}
	return s
}

// shown is what there is in a container that was made.
type shown struct{ mounts, files string }

// run makes the container, its mounts by libcontainer or by us.
func (p place) run(t *testing.T, s *specs.Spec, ours bool) (shown, error) {
	t.Helper()
	p.fresh(t)
	config, err := specconv.CreateLibcontainerConfig(&specconv.CreateOpts{CgroupName: "c", Spec: s})
	if err != nil {
		t.Fatal(err)
	}
	var plan *Plan
	if ours {
		if plan = Take(config); plan == nil {
			t.Fatal("the configuration is not taken for plain")
		}
	}
	state := filepath.Join(p.dir, "state")
	c, err := libcontainer.Create(state, "c", config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(c.Destroy(), os.RemoveAll(state)); err != nil {
			t.Error(err)
		}
	}()
	yes := true
	proc := &libcontainer.Process{Args: s.Process.Args, Cwd: "/", Init: true, NoNewPrivileges: &yes, LogLevel: "3"}
	start := c.Run
	if ours {
		h, err := plan.HandOver()
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		proc.ExtraFiles = []*os.File{h.File()}
		start = func(p *libcontainer.Process) error { return h.Check(c.Run(p)) }
	}
	if err := start(proc); err != nil {
		return shown{}, err
	}
	defer func() {
		if err := proc.Signal(unix.SIGKILL); err != nil {
			t.Error(err)
		}
		_, _ = proc.Wait()
	}()
	pid, err := proc.Pid()
	if err != nil {
		t.Fatal(err)
	}
	return look(t, pid), nil
}

var numbers = regexp.MustCompile(`(?m)^\d+ \d+ \d+:\d+ `)
var peers = regexp.MustCompile(`(shared|master|propagate_from):\d+`)

// look reads a container's mount table, without the numbers that the kernel
// gives, and its files that are not of the kernel's own making.
func look(t *testing.T, pid int) shown {
	t.Helper()
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	var out shown
	out.mounts = peers.ReplaceAllString(numbers.ReplaceAllString(string(table), ""), "$1")
	var b bytes.Buffer
	root := fmt.Sprintf("/proc/%d/root", pid)
	err = filepath.WalkDir(root, func(at string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(at, root)
		if err != nil || name == "/proc" || name == "/sys" || strings.HasPrefix(name, "/dev/pts/") {
			return errors.Join(err, fs.SkipDir)
		}
		var st unix.Stat_t
		if err := unix.Lstat(at, &st); err != nil {
			return err
		}
		to, _ := os.Readlink(at)
		fmt.Fprintf(&b, "%s %o %d:%d %x %s\n", name, st.Mode, st.Uid, st.Gid, st.Rdev, to)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	out.files = b.String()
	return out
}

// A container has the same mounts and files, whoever made them. The order may
// differ where no mount lies below another.
func TestSameAsLibcontainer(t *testing.T) {
	p := newPlace(t)
	for name, change := range map[string]func(*specs.Spec){
		"a pod's":          func(*specs.Spec) {},
		"a read-only root": func(s *specs.Spec) { s.Root.Readonly = true },
		"sysctls":          func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.shm_rmid_forced": "1"} },
		"a device more": func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/a/b", Type: "c", Major: 1, Minor: 3}}
		},
		"no masks":            func(s *specs.Spec) { s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil },
		"a writable /sys":     func(s *specs.Spec) { s.Mounts[4].Options[3], s.Mounts[5].Options[4] = "rw", "rw" },
		"a /dev without more": func(s *specs.Spec) { s.Mounts = s.Mounts[:2] },
		"the pod's own PIDs and network": func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := p.spec()
			change(s)
			theirs, err := p.run(t, s, false)
			if err != nil {
				t.Fatal(err)
			}
			own, err := p.run(t, s, true)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "mounts", theirs.mounts, own.mounts)
			same(t, "files", theirs.files, own.files)
			if n := strings.Count(own.mounts, "\n"); n < 4 {
				t.Errorf("only %d mounts", n)
			}
		})
	}
}

func same(t *testing.T, what, theirs, ours string) {
	t.Helper()
	have := map[string]int{}
	for l := range strings.Lines(theirs) {
		have[l]++
	}
	for l := range strings.Lines(ours) {
		if have[l]--; have[l] < 0 {
			t.Errorf("%s: only ours: %s", what, l)
		}
	}
	for l, n := range have {
		if n > 0 {
			t.Errorf("%s: only theirs: %s", what, l)
		}
	}
}

// What must not be mounted on is refused by both, with the same words.
func TestRefuses(t *testing.T) {
	p := newPlace(t)
	for name, c := range map[string]struct {
		change func(*specs.Spec)
		says   string
	}{
		"a link into /proc": {func(s *specs.Spec) { s.Mounts[8].Destination = "/into/kernel" }, "is inside /proc"},
		"a link to the top": {func(s *specs.Spec) { s.Mounts[8].Destination = "/top" }, "is on the top of rootfs"},
		"sysfs on a link":   {func(s *specs.Spec) { s.Mounts[4].Destination = "/data" }, `filesystem "sysfs" must be mounted on ordinary directory`},
		"no source":         {func(s *specs.Spec) { s.Mounts[8].Source = "/no/such/file" }, "no such file or directory"},
		"a file as a place": {func(s *specs.Spec) { s.Mounts[9].Destination = "/testbox/x" }, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, ours := range []bool{false, true} {
				s := p.spec()
				c.change(s)
				if _, err := p.run(t, s, ours); err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("ours %v: got %v, want %q", ours, err, c.says)
				}
			}
		})
	}
}

// What is not plain is left to libcontainer, whole.
func TestTakeLeaves(t *testing.T) {
	testutil.RequireRoot(t)
	p := place{"/d", "/d/rootfs"}
	for name, change := range map[string]func(*specs.Spec){
		"propagation to the host": func(s *specs.Spec) { s.Linux.RootfsPropagation = "rshared" },
		"a shared volume":         func(s *specs.Spec) { s.Mounts[9].Options = []string{"rbind", "rshared"} },
		"a mount in /proc":        func(s *specs.Spec) { s.Mounts[8].Destination = "/proc/uptime" },
		"a foreign /proc":         func(s *specs.Spec) { s.Mounts[0].Type, s.Mounts[0].Options = "bind", []string{"rbind"} },
		"a foreign /dev":          func(s *specs.Spec) { s.Mounts[1].Type, s.Mounts[1].Options = "bind", []string{"rbind"} },
		"recursive read-only":     func(s *specs.Spec) { s.Mounts[9].Options = []string{"rbind", "rro"} },
		"a read-only tmpfs":       func(s *specs.Spec) { s.Mounts[6].Options = []string{"ro"} },
		"a copying tmpfs":         func(s *specs.Spec) { s.Mounts[6].Options = []string{"tmpcopyup"} },
		"another filesystem":      func(s *specs.Spec) { s.Mounts[6].Type = "ramfs" },
		"a flag of another kind":  func(s *specs.Spec) { s.Mounts[8].Options = []string{"bind", "nosymfollow"} },
		"the root itself":         func(s *specs.Spec) { s.Mounts[8].Destination = "/x/.." },
	} {
		s := p.spec()
		change(s)
		config, err := specconv.CreateLibcontainerConfig(&specconv.CreateOpts{CgroupName: "c", Spec: s})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		n, masked := len(config.Mounts), len(config.MaskPaths)
		if Take(config) != nil || len(config.Mounts) != n || len(config.MaskPaths) != masked || n == 0 {
			t.Errorf("%s: taken, or not left as it was: %d of %d mounts", name, len(config.Mounts), n)
		}
	}
}
