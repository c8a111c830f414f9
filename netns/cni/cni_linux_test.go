package cni

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/netns"
	"github.com/lifepod/lifepod/netns/netnstest"
	"github.com/vishvananda/netlink"
)

// world is a host with a conflist of the reference plugins.
type world struct {
	Options
	name, ipam string
}

func newWorld(t testing.TB) world {
	t.Helper()
	bins := pluginDir(t)
	var b [4]byte
	_, _ = rand.Read(b[:])
	dir := t.TempDir()
	w := world{name: "t" + hex.EncodeToString(b[:]), ipam: filepath.Join(dir, "ipam"),
		Options: Options{ConfDir: filepath.Join(dir, "net.d"), BinDirs: []string{bins}, CacheDir: filepath.Join(dir, "cache")}}
	testutil.CheckLeaks(t, testutil.Scope{Dirs: []string{dir}, Names: []string{w.name}})
	w.Host = netnstest.NewHost(t)
	if err := os.Mkdir(w.ConfDir, 0o755); err != nil {
		t.Fatal(err)
	}
	w.conf(t, "10-test.conflist", w.chain())
	return w
}

func (w world) conf(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.ConfDir, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// chain is bridge with masquerade, host-local with five addresses, portmap,
// loopback.
func (w world) chain() string {
	return fmt.Sprintf(`{"cniVersion": "1.1.0", "name": %q, "plugins": [
		{"type": "bridge", "bridge": "br-%s", "isDefaultGateway": true, "ipMasq": true, "ipMasqBackend": "nftables", "hairpinMode": true,
		 "ipam": {"type": "host-local", "dataDir": %q, "ranges": [[{"subnet": "10.78.0.0/29"}]]}},
		{"type": "portmap", "backend": "nftables", "snat": true, "capabilities": {"portMappings": true}}]}`, w.name, w.name, w.ipam)
}

func (w world) open(t testing.TB) *Network {
	t.Helper()
	n, err := New(w.Options)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// leftovers lists leases, cached results and links of pods. The plugins keep
// their bridge.
func (w world) leftovers(t testing.TB) (left []string) {
	t.Helper()
	leases, _ := filepath.Glob(w.ipam + "/*/10.*")
	cached, _ := filepath.Glob(w.CacheDir + "/*/*")
	left = append(leases, cached...)
	err := netns.Do(w.Host, func() error {
		links, err := netlink.LinkList()
		for _, l := range links {
			if l.Type() == "veth" {
				left = append(left, "veth "+l.Attrs().Name)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return left
}

func TestSuite(t *testing.T) {
	testutil.RequireRoot(t)
	netnstest.Run(t, func(t testing.TB) netnstest.Bed {
		w := newWorld(t)
		return netnstest.Bed{Network: w.open(t), Host: w.Host, Capacity: 5, Leftovers: func() []string { return w.leftovers(t) }}
	})
}

func (w world) pod(t testing.TB, id string) netns.Attachment {
	t.Helper()
	return netns.Attachment{ID: id, Path: netnstest.NewPod(t, filepath.Join(t.TempDir(), id)),
		Pod: netns.PodRef{Namespace: "default", Name: id, UID: "uid-" + id}}
}

func TestFailedAddIsUndoneAtOnce(t *testing.T) {
	w := newWorld(t)
	w.conf(t, "10-test.conflist", strings.Replace(w.chain(), `{"type": "portmap"`, `{"type": "tuning", "sysctl": {"net.ipv4.no_such_thing": "1"}}, {"type": "portmap"`, 1))
	n := w.open(t)
	a := w.pod(t, "p")
	if _, err := n.Setup(t.Context(), a); err == nil || !strings.Contains(err.Error(), "tuning") {
		t.Fatalf("Setup: %v", err)
	}
	if left := w.leftovers(t); len(left) > 0 {
		t.Errorf("the failed ADD left %v", left)
	}
	if err := n.Teardown(t.Context(), a); err != nil {
		t.Errorf("Teardown: %v", err)
	}
}

func TestTeardownUsesTheConfigurationOfSetup(t *testing.T) {
	w := newWorld(t)
	n := w.open(t)
	a := w.pod(t, "p")
	if _, err := n.Setup(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	w.conf(t, "00-other.conflist", `{"cniVersion": "1.0.0", "name": "other", "plugins": [{"type": "loopback"}]}`)
	if err := n.Check(t.Context(), a); err != nil {
		t.Errorf("Check: %v", err)
	}
	if err := n.Teardown(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if left := w.leftovers(t); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// A process was killed right after ADD and before libcni wrote its answer down;
// since then the configuration has gone.
func TestTeardownAfterACrashInSetup(t *testing.T) {
	w := newWorld(t)
	n := w.open(t)
	a := w.pod(t, "p")
	list, err := load(w.ConfDir, "")
	if err != nil {
		t.Fatal(err)
	}
	a.IfName = "eth0"
	rt, err := runtimeConf(a)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.remember(attachment{list, rt}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.add(t.Context(), list, rt); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(w.CacheDir+"/results"), os.RemoveAll(w.ConfDir)); err != nil {
		t.Fatal(err)
	}
	next := w.open(t)
	if err := next.Check(t.Context(), a); err == nil || !strings.Contains(err.Error(), "did not come to its end") {
		t.Errorf("Check: %v", err)
	}
	if err := next.Teardown(t.Context(), netns.Attachment{ID: "p"}); err != nil {
		t.Fatal(err)
	}
	if left := w.leftovers(t); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestGCTakesDownWhatIsNotKept(t *testing.T) {
	w := newWorld(t)
	n := w.open(t)
	keep, lost, stale := w.pod(t, "keep"), w.pod(t, "lost"), w.pod(t, "stale")
	for _, a := range []netns.Attachment{keep, lost, stale} {
		if _, err := n.Setup(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	netnstest.Unpin(t, stale.Path) // its file is still there
	if err := n.GC(t.Context(), []netns.Attachment{keep}); err != nil {
		t.Fatal(err)
	}
	if leases, _ := filepath.Glob(w.ipam + "/*/10.*"); len(leases) != 1 {
		t.Errorf("leases %v, want keep's alone", leases)
	}
	if err := n.Check(t.Context(), keep); err != nil {
		t.Errorf("Check of what was kept: %v", err)
	}
	if err := n.Teardown(t.Context(), keep); err != nil {
		t.Error(err)
	}
}

func BenchmarkPod(b *testing.B) {
	for _, what := range []string{"add", "del"} {
		b.Run(what, func(b *testing.B) {
			w := newWorld(b)
			n := w.open(b)
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				a := w.pod(b, fmt.Sprint("p", i))
				timed := func(which string, f func() error) {
					if which == what {
						b.StartTimer()
						defer b.StopTimer()
					}
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
				timed("add", func() error { _, err := n.Setup(b.Context(), a); return err })
				timed("del", func() error { return n.Teardown(b.Context(), a) })
				netnstest.RemovePod(b, a.Path)
				b.StartTimer()
			}
		})
	}
}
