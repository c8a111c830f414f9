package bridge

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/netns"
	"github.com/lifepod/lifepod/netns/netnstest"
	"github.com/vishvananda/netlink"
)

// options are those of a new root in a new host.
func options(t testing.TB) Options {
	t.Helper()
	testutil.RequireRoot(t)
	var b [4]byte
	_, _ = rand.Read(b[:])
	dir := tmpfs(t)
	o := Options{ID: hex.EncodeToString(b[:]), Dir: filepath.Join(dir, "root"), Shared: filepath.Join(dir, "shared"),
		Pools: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/29")}}
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{dir}, Names: []string{o.ID}})
	o.Host = netnstest.NewHost(t)
	// A new namespace begins with the real host's value.
	if err := netns.Do(o.Host, func() error { return writeSysctl(forwarding, "0") }); err != nil {
		t.Fatal(err)
	}
	return o
}

func open(t testing.TB, o Options) *Network {
	t.Helper()
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// leftovers lists what a root has on its host and in its directories.
func leftovers(t testing.TB, o Options) (left []string) {
	t.Helper()
	for _, pattern := range []string{o.Dir + "/pods/*", o.Dir + "/ips/*", o.Dir + "/host.json", o.Shared + "/roots/*", o.Shared + "/ports/*", o.Shared + "/settings.json"} {
		files, _ := filepath.Glob(pattern)
		left = append(left, files...)
	}
	err := netns.Do(o.Host, func() error {
		links, err := netlink.LinkList()
		for _, l := range links {
			if l.Type() != "device" && l.Type() != "ifb" {
				left = append(left, l.Type()+" "+l.Attrs().Name)
			}
		}
		if f, _ := readSysctl(forwarding); f != "0" {
			left = append(left, "ip_forward "+f)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	table := &nat{host: o.Host, name: o.tableName()}
	ok, err := table.exists()
	_ = table.close()
	if ok || err != nil {
		left = append(left, fmt.Sprintf("nftables table %s %v", o.tableName(), err))
	}
	return left
}

func TestSuite(t *testing.T) {
	testutil.RequireRoot(t)
	netnstest.Run(t, func(t testing.TB) netnstest.Bed {
		o := options(t)
		return netnstest.Bed{Network: open(t, o), Host: o.Host, Capacity: 5, Leftovers: func() []string { return leftovers(t, o) }}
	})
}

// tmpfs is a directory for state, in memory like /run where there is one.
func tmpfs(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "lifepod-bridge-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
