package netnstest

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lifepod/lifepod/netns"
)

// Bed is one network under test and what the suite must know to test it.
type Bed struct {
	Network netns.Network
	// Host is the namespace that plays the host (see NewHost). Empty for a
	// network that moves no packets: then only what it says is checked.
	Host string
	// Capacity is how many attachments fit; at least 4, and few, since the suite
	// makes as many.
	Capacity int
	// Detach takes an attachment away behind the network's back. Nil removes the
	// interface in the pod's namespace.
	Detach func(netns.Attachment)
	// Leftovers lists what the network has anywhere; asked when no pod is left.
	Leftovers func() []string
}

// Run holds a network to the contract of netns.Network. newBed is called once
// for every rule and cleans up with t.Cleanup.
func Run(t *testing.T, newBed func(t testing.TB) Bed) {
	for _, r := range []struct {
		name string
		test func(*testing.T, *bed)
	}{
		{"a pod gets an address of its own", testAddress},
		{"the pod is reached from the host and from other pods", testReach},
		{"host ports lead to the pod", testPorts},
		{"pods can be set up side by side", testParallel},
		{"setup after a failed setup works", testFailed},
		{"setup again keeps the pod working", testAgain},
		{"teardown is idempotent", testTeardown},
		{"teardown works when the namespace is gone", testGone},
		{"the namespace can be used again after teardown", testReuse},
		{"check finds what is missing", testCheck},
		{"what is reserved is kept for setup, and given back by teardown", testReserve},
		{"the last address is followed by a clear error", testExhausted},
		{"an ended context ends setup", testContext},
		{"it says that it is ready", testReady},
	} {
		t.Run(r.name, func(t *testing.T) {
			b := &bed{Bed: newBed(t), t: t}
			r.test(t, b)
			b.end()
		})
	}
}

// bed adds bookkeeping: what was set up is torn down, and nothing is left.
type bed struct {
	Bed
	t    *testing.T
	mu   sync.Mutex
	live []netns.Attachment
	n    int
}

// pod names a new pod with a namespace of its own.
func (b *bed) pod(ports ...netns.PortMapping) netns.Attachment {
	b.t.Helper()
	b.mu.Lock()
	b.n++
	id := fmt.Sprintf("pod-%d", b.n)
	b.mu.Unlock()
	a := netns.Attachment{ID: id, Path: filepath.Join(b.t.TempDir(), id, "net"), Ports: ports,
		Pod: netns.PodRef{Namespace: "default", Name: id, UID: "uid-" + id}}
	if b.Host != "" {
		NewPod(b.t, filepath.Dir(a.Path))
	}
	return a
}

func (b *bed) setup(a netns.Attachment) netns.Result {
	b.t.Helper()
	res, err := b.Network.Setup(b.t.Context(), a)
	b.mu.Lock()
	b.live = append(b.live, a)
	b.mu.Unlock()
	if err == nil && (len(res.Addrs) == 0 || len(res.Gateways) == 0) {
		err = fmt.Errorf("no address or no gateway: %+v", res)
	}
	if err != nil {
		b.end()
		b.t.Fatalf("Setup: %v", err)
	}
	return res
}

func (b *bed) teardown(a netns.Attachment) {
	b.t.Helper()
	if err := b.Network.Teardown(context.WithoutCancel(b.t.Context()), a); err != nil {
		b.t.Errorf("Teardown: %v", err)
	}
}

func (b *bed) end() {
	b.t.Helper()
	for _, a := range b.live {
		b.teardown(a)
	}
	if b.Leftovers == nil {
		return
	}
	if left := b.Leftovers(); len(left) > 0 {
		b.t.Errorf("with no pod left there is still:\n  %s", strings.Join(left, "\n  "))
	}
}

func testAddress(t *testing.T, b *bed) {
	one, two := b.pod(), b.pod()
	two.IfName = "net0"
	r1, r2 := b.setup(one), b.setup(two)
	if r1.Interface != "eth0" || r2.Interface != "net0" {
		t.Errorf("interfaces %q and %q, want eth0 (the default) and net0", r1.Interface, r2.Interface)
	}
	if r1.Addrs[0].Addr() == r2.Addrs[0].Addr() {
		t.Errorf("both pods have %s", r1.Addrs[0])
	}
	for _, r := range []netns.Result{r1, r2} {
		if !r.Addrs[0].Contains(r.Gateways[0]) {
			t.Errorf("gateways %v of %s", r.Gateways, r.Addrs[0])
		}
		for _, a := range r.Addrs {
			if slices.Contains(r.Gateways, a.Addr()) {
				t.Errorf("%s is the gateway's", a)
			}
		}
	}
	b.inside(t, one, r1)
	b.inside(t, two, r2)
}

func testReach(t *testing.T, b *bed) {
	one, two := b.pod(), b.pod()
	r1, r2 := b.setup(one), b.setup(two)
	b.reach(t, one, r1.Addrs[0].Addr(), b.Host, "the host")
	b.reach(t, one, r1.Addrs[0].Addr(), two.Path, "another pod")
	b.reach(t, two, r2.Addrs[0].Addr(), one.Path, "another pod")
}

func testPorts(t *testing.T, b *bed) {
	ports := []netns.PortMapping{
		{Protocol: "tcp", HostPort: 8080, ContainerPort: 80},
		{Protocol: "udp", HostPort: 8053, ContainerPort: 53},
		{Protocol: "tcp", HostPort: 0, ContainerPort: 81}, // none asked for
	}
	one, two := b.pod(ports...), b.pod()
	r := b.setup(one)
	b.setup(two)
	if err := b.Network.Check(t.Context(), one); err != nil {
		t.Errorf("Check: %v", err)
	}
	host := r.Gateways[0]
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, p := range ports[:2] {
		b.forwarded(t, one, p, netip.AddrPortFrom(host, p.HostPort), b.Host, "the host by its address")
		b.forwarded(t, one, p, netip.AddrPortFrom(loopback, p.HostPort), b.Host, "the host by 127.0.0.1")
		b.forwarded(t, one, p, netip.AddrPortFrom(host, p.HostPort), two.Path, "another pod")
		b.forwarded(t, one, p, netip.AddrPortFrom(host, p.HostPort), one.Path, "the pod itself")
	}
	b.teardown(one)
	b.unreached(t, netip.AddrPortFrom(host, 8080), two.Path)
	again := b.pod(ports...)
	b.setup(again)
	b.forwarded(t, again, ports[0], netip.AddrPortFrom(loopback, 8080), b.Host, "the host, for the next pod")
	b.forwarded(t, again, ports[1], netip.AddrPortFrom(loopback, 8053), b.Host, "the host, for the next pod")
}

func testParallel(t *testing.T, b *bed) {
	pods := make([]netns.Attachment, b.Capacity)
	for i := range pods {
		pods[i] = b.pod()
	}
	var mu sync.Mutex
	seen := map[netip.Addr]string{}
	var wg sync.WaitGroup
	for _, a := range pods {
		wg.Go(func() {
			res, err := b.Network.Setup(t.Context(), a)
			if err != nil || len(res.Addrs) == 0 {
				t.Errorf("Setup: %+v, %v", res, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if other, taken := seen[res.Addrs[0].Addr()]; taken {
				t.Errorf("%s and %s both have %s", other, a.ID, res.Addrs[0])
			}
			seen[res.Addrs[0].Addr()] = a.ID
		})
	}
	wg.Wait()
	for _, a := range pods {
		wg.Go(func() { b.teardown(a) })
	}
	wg.Wait()
}

func testFailed(t *testing.T, b *bed) {
	a := b.pod()
	good := a.Path
	a.Path = ""
	if b.Host != "" {
		a.Path = filepath.Join(t.TempDir(), "nothing")
	}
	if _, err := b.Network.Setup(t.Context(), a); err == nil {
		t.Fatal("Setup of a namespace that is not there succeeded")
	}
	b.teardown(a)
	a.Path = good
	b.setup(a)
	if err := b.Network.Check(t.Context(), a); err != nil {
		t.Errorf("Check: %v", err)
	}
}

func testAgain(t *testing.T, b *bed) {
	a := b.pod()
	b.setup(a)
	b.teardown(a) // as after a failure
	res := b.setup(a)
	if err := b.Network.Check(t.Context(), a); err != nil {
		t.Errorf("Check: %v", err)
	}
	b.reach(t, a, res.Addrs[0].Addr(), b.Host, "the host")
}

func testTeardown(t *testing.T, b *bed) {
	never := b.pod()
	b.teardown(never)
	one, two := b.pod(), b.pod()
	b.setup(one)
	res := b.setup(two)
	for range 3 {
		b.teardown(one)
	}
	if err := b.Network.Check(t.Context(), one); err == nil {
		t.Error("Check of a torn down attachment is nil")
	}
	b.reach(t, two, res.Addrs[0].Addr(), b.Host, "the host, after another's teardown")
}

func testGone(t *testing.T, b *bed) {
	var pods []netns.Attachment
	for range b.Capacity {
		a := b.pod()
		b.setup(a)
		pods = append(pods, a)
	}
	for i, a := range pods {
		if b.Host != "" && i%2 == 0 {
			RemovePod(t, a.Path) // pin and file
		} else if b.Host != "" {
			Unpin(t, a.Path) // the file is still there
		}
		b.teardown(a)
		b.teardown(a)
	}
	for range b.Capacity { // the addresses are free again
		b.setup(b.pod())
	}
}

func testReuse(t *testing.T, b *bed) {
	a := b.pod()
	b.setup(a)
	b.teardown(a)
	next := a
	next.ID += "-next"
	res := b.setup(next)
	b.reach(t, next, res.Addrs[0].Addr(), b.Host, "the host")
}

func testCheck(t *testing.T, b *bed) {
	for _, what := range []string{"interface", "address"} {
		a := b.pod()
		if err := b.Network.Check(t.Context(), a); err == nil {
			t.Error("Check before Setup is nil")
		}
		res := b.setup(a)
		if err := b.Network.Check(t.Context(), a); err != nil {
			t.Errorf("Check after Setup: %v", err)
		}
		switch {
		case b.Detach != nil:
			b.Detach(a)
		case what == "interface":
			DeleteLink(t, a.Path, res.Interface)
		default:
			DeleteAddress(t, a.Path, res.Interface, res.Addrs[0])
		}
		if err := b.Network.Check(t.Context(), a); err == nil {
			t.Errorf("Check is nil though the %s is gone", what)
		}
		b.teardown(a)
	}
}

func testExhausted(t *testing.T, b *bed) {
	var pods []netns.Attachment
	for range b.Capacity {
		a := b.pod()
		b.setup(a)
		pods = append(pods, a)
	}
	over := b.pod()
	_, err := b.Network.Setup(t.Context(), over)
	if err == nil || !strings.Contains(err.Error(), "no IP addresses available in range set: ") {
		t.Errorf("one more than there is room for: %v", err)
	}
	b.teardown(over)
	b.teardown(pods[0])
	b.setup(over)
}

// Networks that cannot reserve have nothing to show.
func testReserve(t *testing.T, b *bed) {
	network, ok := b.Network.(netns.Reserver)
	if !ok {
		return
	}
	reserve := func(a netns.Attachment) error {
		early := a
		early.Path = filepath.Join(t.TempDir(), "not yet")
		return network.Reserve(t.Context(), early)
	}
	one, two := b.pod(), b.pod()
	for range 2 { // again, as after a failure
		if err := reserve(one); err != nil {
			t.Fatalf("Reserve: %v", err)
		}
	}
	r2 := b.setup(two)
	r1 := b.setup(one)
	if r1.Addrs[0].Addr() == r2.Addrs[0].Addr() {
		t.Errorf("%s was reserved, and given to another pod", r1.Addrs[0])
	}
	b.reach(t, one, r1.Addrs[0].Addr(), two.Path, "another pod")
	b.teardown(one)
	b.teardown(two)
	var held []netns.Attachment
	for range b.Capacity {
		a := b.pod()
		held = append(held, a)
		if err := reserve(a); err != nil {
			t.Fatalf("Reserve: %v", err)
		}
	}
	over := b.pod()
	if err := reserve(over); err == nil || !strings.Contains(err.Error(), "no IP addresses available in range set: ") {
		t.Errorf("one more than there is room for: %v", err)
	}
	for _, a := range append(held, over) { // no namespace was ever joined
		b.teardown(a)
	}
	b.setup(over)
}

func testContext(t *testing.T, b *bed) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := b.pod()
	if _, err := b.Network.Setup(ctx, a); err == nil {
		t.Error("Setup succeeded with a context that had ended")
	}
	b.teardown(a)
}

func testReady(t *testing.T, b *bed) {
	if err := b.Network.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
	b.setup(b.pod())
	if err := b.Network.Ready(t.Context()); err != nil {
		t.Errorf("Ready with a pod: %v", err)
	}
}
