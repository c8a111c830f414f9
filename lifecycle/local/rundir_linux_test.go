package local_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/lifecycle/local"
)

// leftRunning is a root with a pod that nobody drives.
func leftRunning(t *testing.T) (local.Options, *local.Handle) {
	t.Helper()
	o := options(t)
	first := open(t, o)
	h := runManifest(t, first, one("Always", "[work, /beat]"))
	until(t, h, ready)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	return o, h
}

// Who opens a root finds the pods that run under it, whatever run directory they
// were started with; another one is refused as long as they do.
func TestRunDirectoryIsKept(t *testing.T) {
	o, h := leftRunning(t)
	other := o
	other.Run = o.Run + "-other"
	_, err := local.Open(other)
	if err == nil || !strings.Contains(err.Error(), "run directory "+other.Run+": what runs under this root is in "+o.Run+": name that or none, until it has ended") {
		t.Errorf("another run directory: %v", err)
	}
	other.Run = ""
	n := open(t, other)
	defer n.Close()
	pods, err := n.List(t.Context())
	if err != nil || len(pods) != 1 || len(pods[0].Containers) != 1 || pods[0].Containers[0].State != "running" {
		t.Errorf("without a run directory: %+v, %v", pods, err)
	}
	if err := n.Stop(soon(t), h.Pod().Name, nil); err != nil {
		t.Error(err)
	}
}

// A root that has become read-only, as disks with errors do, still tells of its
// pods.
func TestReadOnlyRoot(t *testing.T) {
	o, h := leftRunning(t)
	if err := unix.Mount(o.Root, o.Root, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(o.Root, unix.MNT_DETACH) })
	if err := unix.Mount("", o.Root, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	n := open(t, o)
	pods, err := n.List(t.Context())
	if err != nil || len(pods) != 1 || pods[0].Driven || len(pods[0].Containers) != 1 {
		t.Errorf("it tells of %d pods: %+v, %v", len(pods), pods, err)
	}
	if err := n.Stop(soon(t), h.Pod().Name, nil); err == nil || !strings.Contains(err.Error(), "read-only file system") {
		t.Errorf("stop: %v", err)
	}
	if err := errors.Join(n.Close(), unix.Unmount(o.Root, 0)); err != nil {
		t.Fatal(err)
	}
	n = open(t, o)
	defer n.Close()
	if err := n.Stop(soon(t), h.Pod().Name, nil); err != nil {
		t.Error(err)
	}
}
