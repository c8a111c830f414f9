package bridge

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/netns"
	"github.com/lifepod/lifepod/netns/netnstest"
	"github.com/vishvananda/netlink"
)

func pod(t testing.TB, id string, ports ...netns.PortMapping) netns.Attachment {
	t.Helper()
	return netns.Attachment{ID: id, Path: netnstest.NewPod(t, filepath.Join(t.TempDir(), id)), Ports: ports}
}

func setup(t testing.TB, n *Network, a netns.Attachment) netns.Result {
	t.Helper()
	res, err := n.Setup(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { teardown(t, n, a) })
	return res
}

func teardown(t testing.TB, n *Network, a netns.Attachment) {
	t.Helper()
	if err := n.Teardown(t.Context(), a); err != nil {
		t.Error(err)
	}
}

func clean(t testing.TB, o Options) {
	t.Helper()
	if left := leftovers(t, o); len(left) > 0 {
		t.Errorf("left:\n  %s", strings.Join(left, "\n  "))
	}
}

func sysctl(t testing.TB, ns, name string) (value string) {
	t.Helper()
	if err := netns.Do(ns, func() (err error) { value, err = readSysctl(name); return err }); err != nil {
		t.Fatal(err)
	}
	return value
}

func tcp(host, container uint16) netns.PortMapping {
	return netns.PortMapping{Protocol: "tcp", HostPort: host, ContainerPort: container}
}

// Two roots on one host: ranges apart, ports known to each other, forwarding
// set back with the last.
func TestTwoRoots(t *testing.T) {
	o1 := options(t)
	o2 := options(t)
	o2.Host, o2.Shared = o1.Host, o1.Shared
	pools := []netip.Prefix{netip.MustParsePrefix("10.77.0.0/23")}
	o1.Pools, o2.Pools = pools, pools
	n1, n2 := open(t, o1), open(t, o2)
	a1, a2 := pod(t, "one", tcp(80, 80)), pod(t, "two", tcp(81, 80))
	r1, err := n1.Setup(t.Context(), a1)
	if err != nil {
		t.Fatal(err)
	}
	r2, err := n2.Setup(t.Context(), a2)
	if err != nil {
		t.Fatal(err)
	}
	if r1.Addrs[0].Overlaps(r2.Addrs[0]) {
		t.Errorf("both roots use %s", r1.Addrs[0].Masked())
	}
	thief := pod(t, "thief", tcp(80, 80))
	if _, err := n2.Setup(t.Context(), thief); err == nil || !strings.Contains(err.Error(), "host port 80/tcp on all addresses is taken by one") {
		t.Errorf("a port of the other root: %v", err)
	}
	teardown(t, n2, thief)
	full := Options{ID: "ffffffff", Dir: o1.Dir + "-3", Shared: o1.Shared, Host: o1.Host, Pools: pools}
	n3 := open(t, full)
	if err := n3.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "no free address range") {
		t.Errorf("Ready of a third root: %v", err)
	}
	if err := n1.Check(t.Context(), a1); err != nil {
		t.Errorf("the failed theft harmed its victim: %v", err)
	}
	teardown(t, n1, a1)
	if f := sysctl(t, o1.Host, forwarding); f != "1" {
		t.Errorf("forwarding is %s while another root has a pod", f)
	}
	if err := n2.Check(t.Context(), a2); err != nil {
		t.Errorf("Check after the other root went: %v", err)
	}
	teardown(t, n2, a2)
	clean(t, o1)
	clean(t, o2)
}

// Two Networks on one root are what two processes are: they share files only.
func TestTwoProcessesOnOneRoot(t *testing.T) {
	o := options(t)
	n1, n2 := open(t, o), open(t, o)
	a, b := pod(t, "a", tcp(80, 80)), pod(t, "b")
	r1, r2 := setup(t, n1, a), setup(t, n2, b)
	if r1.Addrs[0] == r2.Addrs[0] {
		t.Errorf("both have %s", r1.Addrs[0])
	}
	if err := n2.Check(t.Context(), a); err != nil {
		t.Errorf("the other's attachment: %v", err)
	}
	teardown(t, n2, a)
	teardown(t, n1, b)
	clean(t, o)
}

// Roots of one process share nothing in memory: this is for the race detector.
func TestRootsSideBySide(t *testing.T) {
	var wg sync.WaitGroup
	for _, o := range []Options{options(t), options(t), options(t), options(t)} {
		n, a := open(t, o), pod(t, "pod", tcp(80, 80))
		wg.Go(func() {
			if _, err := n.Setup(t.Context(), a); err != nil {
				t.Error(err)
			}
			teardown(t, n, a)
			clean(t, o)
		})
	}
	wg.Wait()
}

// outside joins the host to a namespace that stands for the world beyond it.
func outside(t *testing.T, o Options) (path string) {
	t.Helper()
	path = netnstest.NewPod(t, filepath.Join(t.TempDir(), "outside"))
	ns, err := netns.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	err = netns.Do(o.Host, func() error {
		la := netlink.NewLinkAttrs()
		la.Name, la.MTU = "uplink", 1400
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: la, PeerName: "eth0", PeerNamespace: netlink.NsFd(ns.Fd())})
	})
	if err != nil {
		t.Fatal(err)
	}
	for where, what := range map[string][]string{o.Host: {"uplink", "192.0.2.1/24"}, path: {"eth0", "192.0.2.2/24"}} {
		p := Options{Host: where}
		hostRun(t, p, "ip", "addr", "add", what[1], "dev", what[0])
		hostRun(t, p, "ip", "link", "set", what[0], "up")
	}
	hostRun(t, o, "ip", "route", "add", "default", "via", "192.0.2.2")
	return path
}

// seenFrom connects from one namespace to a listener in another and returns the
// address that the listener saw.
func seenFrom(t *testing.T, from, at, listen, dial string) (string, error) {
	t.Helper()
	var l net.Listener
	if err := netns.Do(at, func() (err error) { l, err = net.Listen("tcp4", listen); return err }); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err := netns.Do(from, func() error {
		c, err := net.DialTimeout("tcp4", dial, 2*time.Second)
		if err == nil {
			err = c.Close()
		}
		return err
	})
	if err != nil {
		return "", err
	}
	c, err := l.Accept()
	if err != nil {
		return "", err
	}
	defer c.Close()
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	return host, err
}

func TestTheWorldOutside(t *testing.T) {
	testutil.RequirePeer(t, "ip")
	o := options(t)
	world := outside(t, o)
	n := open(t, o)
	a := pod(t, "a", tcp(8080, 80))
	res := setup(t, n, a)
	if got, err := seenFrom(t, a.Path, world, ":9000", "192.0.2.2:9000"); err != nil || got != "192.0.2.1" {
		t.Errorf("the world sees the pod as %q, %v, want the host", got, err)
	}
	if got, err := seenFrom(t, world, a.Path, ":80", "192.0.2.1:8080"); err != nil || got != "192.0.2.2" {
		t.Errorf("through its host port the pod sees %q, %v, want the caller", got, err)
	}
	err := netns.Do(a.Path, func() error {
		i, err := net.InterfaceByName("eth0")
		if err == nil && i.MTU != 1400 {
			t.Errorf("MTU %d, want that of the default route, 1400", i.MTU)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := seenFrom(t, o.Host, a.Path, ":81", res.Addrs[0].Addr().String()+":81"); err != nil {
		t.Error(err)
	}
}

// The bridge routes 127.0.0.0/8 so that host ports answer on 127.0.0.1. A pod
// that sends packets to 127.0.0.1 out of its interface must not reach what
// listens there on the host.
func TestPodsDoNotReachTheHostsLoopback(t *testing.T) {
	testutil.RequirePeer(t, "ip")
	testutil.RequirePeer(t, "nft")
	o := options(t)
	n := open(t, o)
	a := pod(t, "a")
	res := setup(t, n, a)
	p := Options{Host: a.Path}
	err := netns.Do(a.Path, func() error { return writeSysctl("net/ipv4/conf/eth0/route_localnet", "1") })
	if err != nil {
		t.Fatal(err)
	}
	hostRun(t, p, "ip", "addr", "del", "127.0.0.1/8", "dev", "lo")
	hostRun(t, p, "ip", "route", "add", "127.0.0.0/8", "via", res.Gateways[0].String(), "src", res.Addrs[0].Addr().String())
	if got, err := seenFrom(t, a.Path, o.Host, "127.0.0.1:9000", "127.0.0.1:9000"); err == nil {
		t.Errorf("the pod reached the host's loopback, as %s", got)
	}
	// The attack is a real one: without the rule it works.
	hostRun(t, o, "nft", "flush chain ip "+o.tableName()+" raw")
	if _, err := seenFrom(t, a.Path, o.Host, "127.0.0.1:9000", "127.0.0.1:9000"); err != nil {
		t.Errorf("the test proves nothing: %v", err)
	}
}

func TestBridgeAndTableComeBack(t *testing.T) {
	o := options(t)
	n := open(t, o)
	a := pod(t, "a", tcp(80, 80))
	setup(t, n, a)
	hostRun(t, o, "nft", "flush", "ruleset")
	if err := n.Check(t.Context(), a); err == nil {
		t.Error("Check does not miss the host port")
	}
	setup(t, n, pod(t, "b"))
	if err := n.Check(t.Context(), a); err != nil {
		t.Errorf("the first pod's port is not back: %v", err)
	}
	netnstest.DeleteLink(t, o.Host, o.bridgeName())
	if err := n.Check(t.Context(), a); err == nil {
		t.Error("Check does not miss the bridge")
	}
	c := pod(t, "c")
	res := setup(t, n, c)
	if _, err := seenFrom(t, o.Host, c.Path, ":80", res.Addrs[0].Addr().String()+":80"); err != nil {
		t.Errorf("the next pod: %v", err)
	}
	teardown(t, n, a)
	if _, err := n.Setup(t.Context(), a); err != nil {
		t.Errorf("the first pod, set up again: %v", err)
	}
}

func TestLinger(t *testing.T) {
	o := options(t)
	o.Linger = time.Hour
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	a := pod(t, "a")
	if _, err := n.Setup(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	teardown(t, n, a)
	if left := leftovers(t, o); len(left) == 0 {
		t.Error("nothing lingers")
	}
	for range 2 {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
	clean(t, o)
}

func TestBandwidth(t *testing.T) {
	o := options(t)
	n := open(t, o)
	a := pod(t, "a")
	a.Bandwidth = &netns.Bandwidth{Ingress: 8_000_000, Egress: 16_000_000}
	setup(t, n, a)
	rates := map[string]uint64{}
	for where, ns := range map[string]string{"host": o.Host, "pod": a.Path} {
		err := netns.Do(ns, func() error {
			links, err := netlink.LinkList()
			for _, l := range links {
				qs, qerr := netlink.QdiscList(l)
				if qerr != nil {
					err = qerr
				}
				for _, q := range qs {
					if tbf, ok := q.(*netlink.Tbf); ok {
						rates[where] = tbf.Rate
					}
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if rates["host"] != 1_000_000 || rates["pod"] != 2_000_000 {
		t.Errorf("bytes per second %v, want 1 and 2 million", rates)
	}
}

func TestStateOfAnotherBootIsForgotten(t *testing.T) {
	o := options(t)
	if err := os.MkdirAll(o.Dir+"/pods", 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		"host.json":     `{"boot": "another", "subnet": "10.77.0.0/29"}`,
		"pods/old.json": `{"id": "old", "ip": "10.77.0.2", "ifName": "eth0", "veth": "vx"}`,
	} {
		if err := os.WriteFile(filepath.Join(o.Dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n := open(t, o)
	res := setup(t, n, pod(t, "a"))
	if res.Addrs[0].String() != "10.77.0.2/29" {
		t.Errorf("got %s: the old lease still counts", res.Addrs[0])
	}
}

func TestDamagedStateIsAnErrorThatNamesTheFile(t *testing.T) {
	for file, text := range map[string]string{"host.json": "{", "pods/a.json": `{"id": "b"}`} {
		t.Run(file, func(t *testing.T) {
			o := options(t)
			n := open(t, o)
			setup(t, n, pod(t, "other"))
			path := filepath.Join(o.Dir, file)
			saved, _ := os.ReadFile(path)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			a := pod(t, "a")
			_, err := n.Setup(t.Context(), a)
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("Setup: %v", err)
			}
			if err := n.Teardown(t.Context(), a); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("Teardown: %v", err)
			}
			if saved != nil {
				err = os.WriteFile(path, saved, 0o600)
			} else {
				err = os.Remove(path)
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAnOccupiedInterfaceNameIsNamed(t *testing.T) {
	o := options(t)
	n := open(t, o)
	a := pod(t, "a")
	hostRun(t, Options{Host: a.Path}, "ip", "link", "add", "eth0", "type", "bridge")
	_, err := n.Setup(t.Context(), a)
	if err == nil || !strings.Contains(err.Error(), "has an interface eth0 already") {
		t.Errorf("got %v", err)
	}
	teardown(t, n, a)
	clean(t, o)
}
