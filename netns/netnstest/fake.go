package netnstest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/lifepod/lifepod/netns"
)

// Fake is a network in memory. Its zero value works: it leases addresses of
// 10.0.0.0/24 and forwards nothing. It is safe for concurrent use. Set its
// fields before its first use.
type Fake struct {
	// Subnet is what addresses are leased from; the first is the gateway's.
	// Zero means 10.0.0.0/24.
	Subnet netip.Prefix
	// Before is called first by each method, with "setup", "teardown", "check"
	// or "ready" and the attachment. An error ends the method; it may wait for
	// ctx. Nil lets all pass.
	Before func(ctx context.Context, method string, a netns.Attachment) error

	mu   sync.Mutex
	pods map[string]attached
}

type attached struct {
	a  netns.Attachment
	ip netip.Addr
}

var _ netns.Network = (*Fake)(nil)

func (f *Fake) before(ctx context.Context, method string, a netns.Attachment) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.Before != nil {
		return f.Before(ctx, method, a)
	}
	return nil
}

// Setup leases an address; again for the same ID, the same one.
func (f *Fake) Setup(ctx context.Context, a netns.Attachment) (netns.Result, error) {
	if err := f.before(ctx, "setup", a); err != nil {
		return netns.Result{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.ID == "" || a.Path == "" {
		return netns.Result{}, fmt.Errorf("set up the network of %q: an attachment has an ID and a Path", a.ID)
	}
	if len(a.IPs) > 0 {
		return netns.Result{}, fmt.Errorf("set up the network of %s: the fake chooses addresses itself", a.ID)
	}
	if err := f.portsFree(a); err != nil {
		return netns.Result{}, err
	}
	a.IfName = cmp.Or(a.IfName, "eth0")
	ip := f.pods[a.ID].ip
	if !ip.IsValid() {
		var err error
		if ip, err = f.free(); err != nil {
			return netns.Result{}, fmt.Errorf("set up the network of %s: %w", a.ID, err)
		}
	}
	if f.pods == nil {
		f.pods = map[string]attached{}
	}
	f.pods[a.ID] = attached{a, ip}
	return netns.Result{Interface: a.IfName, Addrs: []netip.Prefix{netip.PrefixFrom(ip, f.subnet().Bits())},
		Gateways: []netip.Addr{f.subnet().Addr().Next()}, DNS: a.DNS}, nil
}

// Teardown gives the address back.
func (f *Fake) Teardown(ctx context.Context, a netns.Attachment) error {
	if err := f.before(ctx, "teardown", a); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.pods, a.ID)
	return nil
}

// Check fails for what is not attached.
func (f *Fake) Check(ctx context.Context, a netns.Attachment) error {
	if err := f.before(ctx, "check", a); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := f.pods[a.ID]
	if !ok {
		return fmt.Errorf("check the network of %s: it is not set up", a.ID)
	}
	for _, port := range a.Ports {
		if !slices.Contains(p.a.Ports, port) {
			return fmt.Errorf("check the network of %s: host port %d is not forwarded", a.ID, port.HostPort)
		}
	}
	return nil
}

// Ready says what Before says.
func (f *Fake) Ready(ctx context.Context) error { return f.before(ctx, "ready", netns.Attachment{}) }

// Attached lists what is set up now, by ID.
func (f *Fake) Attached() []netns.Attachment {
	f.mu.Lock()
	defer f.mu.Unlock()
	var as []netns.Attachment
	for _, p := range f.pods {
		as = append(as, p.a)
	}
	slices.SortFunc(as, func(a, b netns.Attachment) int { return cmp.Compare(a.ID, b.ID) })
	return as
}

// Detach forgets an attachment behind the owner's back, as if someone had
// removed its interface: Check then fails.
func (f *Fake) Detach(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.pods, id)
}

func (f *Fake) subnet() netip.Prefix {
	if f.Subnet.IsValid() {
		return f.Subnet.Masked()
	}
	return netip.MustParsePrefix("10.0.0.0/24")
}

func (f *Fake) free() (netip.Addr, error) {
	s := f.subnet()
	first := s.Addr().Next()
	last := first
	for ip := first.Next(); s.Contains(ip.Next()); ip = ip.Next() { // the last of all is the broadcast address
		if !f.has(func(p attached) bool { return p.ip == ip }) {
			return ip, nil
		}
		last = ip
	}
	return netip.Addr{}, fmt.Errorf("no IP addresses available in range set: %s-%s", first, last)
}

func (f *Fake) portsFree(a netns.Attachment) error {
	var errs []error
	for _, port := range a.Ports {
		if port.HostPort == 0 {
			continue
		}
		taken := f.has(func(p attached) bool {
			return p.a.ID != a.ID && slices.ContainsFunc(p.a.Ports, func(o netns.PortMapping) bool {
				return o.HostPort == port.HostPort && o.Protocol == port.Protocol && o.HostIP == port.HostIP
			})
		})
		if taken {
			errs = append(errs, fmt.Errorf("set up the network of %s: host port %d/%s is taken", a.ID, port.HostPort, port.Protocol))
		}
	}
	return errors.Join(errs...)
}

func (f *Fake) has(match func(attached) bool) bool {
	for _, p := range f.pods {
		if match(p) {
			return true
		}
	}
	return false
}
