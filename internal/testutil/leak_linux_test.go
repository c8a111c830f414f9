package testutil

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// has fails t unless one line of the leaks starts with prefix.
func has(t *testing.T, left []string, prefix string) {
	t.Helper()
	if !slices.ContainsFunc(left, func(l string) bool { return strings.HasPrefix(l, prefix) }) {
		t.Errorf("a leaked %s went unnoticed: %q", prefix, left)
	}
}

// Each kind of leak is made on purpose and must be found, and must be gone
// from the list once it is gone.
func TestLeaksAreFound(t *testing.T) {
	RequireRoot(t)
	dir := t.TempDir()
	s := Scope{Dirs: []string{dir}, Names: []string{"lktest"}}

	if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	cg := "/sys/fs/cgroup/pids/lktest"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		cg = "/sys/fs/cgroup/lktest"
	}
	if err := os.Mkdir(cg, 0o755); err != nil {
		t.Fatal(err)
	}
	p := exec.Command("sleep", "60")
	p.Dir = dir
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	la := netlink.NewLinkAttrs()
	la.Name = "lktest0"
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: la}); err != nil {
		t.Fatal(err)
	}
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	tab := c.AddTable(&nftables.Table{Name: "lktest", Family: nftables.TableFamilyIPv4})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}

	left := Leaks(s)
	for _, kind := range []string{"mount", "cgroup", "process", "link", "nftables table"} {
		has(t, left, kind)
	}

	_ = p.Process.Kill()
	_, _ = p.Process.Wait()
	_ = unix.Unmount(dir, unix.MNT_DETACH)
	_ = os.Remove(cg)
	_ = netlink.LinkDel(&netlink.Bridge{LinkAttrs: la})
	c.DelTable(tab)
	_ = c.Flush()
	if left := settle(func() []string { return Leaks(s) }); len(left) > 0 {
		t.Errorf("still there: %q", left)
	}
}

func TestLeakedDescriptorIsFound(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it reads /proc")
	}
	before := openFiles()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	has(t, moreFiles(before, openFiles()), "descriptor")
	l.Close()
	if left := moreFiles(before, openFiles()); len(left) > 0 {
		t.Errorf("still there: %q", left)
	}
}
