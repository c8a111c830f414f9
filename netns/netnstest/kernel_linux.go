package netnstest

import (
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/lifepod/lifepod/netns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// NewHost makes a namespace that plays the host in tests, until the test ends.
// It has loopback and nothing else.
func NewHost(t testing.TB) string {
	t.Helper()
	return NewPod(t, filepath.Join(t.TempDir(), "host"))
}

// NewPod pins a new network namespace in dir, until the test ends, and returns
// its path.
func NewPod(t testing.TB, dir string) string {
	t.Helper()
	p, err := netns.Create(dir, netns.Net, netns.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netns.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return p.Net
}

// RemovePod removes the namespace pinned at path, and the pin.
func RemovePod(t testing.TB, path string) {
	t.Helper()
	if err := netns.Remove(filepath.Dir(path)); err != nil {
		t.Error(err)
	}
}

// Unpin removes the namespace pinned at path and leaves the file, as a crash of
// the machine or a lazy script does.
func Unpin(t testing.TB, path string) {
	t.Helper()
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
		t.Error(err)
	}
}

// DeleteLink deletes a link in the namespace at path.
func DeleteLink(t testing.TB, path, name string) {
	t.Helper()
	change(t, path, name, netlink.LinkDel)
}

// DeleteAddress takes an address off a link in the namespace at path.
func DeleteAddress(t testing.TB, path, name string, p netip.Prefix) {
	t.Helper()
	change(t, path, name, func(l netlink.Link) error {
		a := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
		return netlink.AddrDel(l, &netlink.Addr{IPNet: a})
	})
}

func change(t testing.TB, path, name string, f func(netlink.Link) error) {
	t.Helper()
	err := netns.Do(path, func() error {
		l, err := netlink.LinkByName(name)
		return errors.Join(err, f(l))
	})
	if err != nil {
		t.Errorf("change %s in %s: %v", name, path, err)
	}
}
