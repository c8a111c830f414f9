package bridge

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"github.com/lifepod/lifepod/netns"
	"golang.org/x/sys/unix"
)

// Network is the built-in bridge network of one root. Its methods are safe for
// concurrent use, also by several processes.
type Network struct {
	o       Options
	state   state
	machine machine
	nat     *nat
	group   uint32
	route   *conn // for what pods wait for
	slow    *conn // for deleting links, which keeps a socket busy

	mu       sync.Mutex
	reserved map[string]reservation // by attachment, until its Setup
	closed   bool
	stop     chan struct{} // closed by Close: whoever waits, works at once
	reaping  bool
	wg       sync.WaitGroup
}

// reservation is what Reserve took and wrote down.
type reservation struct {
	host onhost
	r    record
}

var _ netns.Reserver = (*Network)(nil)

// New opens the root's network. It changes nothing on the host: the first Setup
// does. Close it when it is no longer used; what is set up stays.
func New(o Options) (*Network, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	n := &Network{o: o, reserved: map[string]reservation{}, state: state{o.Dir}, machine: machine{o.Shared}, group: groupOf(o.ID), stop: make(chan struct{}),
		nat: &nat{host: o.Host, name: o.tableName(), bridge: o.bridgeName()}}
	err = onHost(o.Host, func() error {
		if n.route, err = dial(nil); err != nil {
			return err
		}
		if n.slow, err = dial(nil); err != nil {
			n.route.close()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bridge network %s: %w", o.ID, err)
	}
	return n, nil
}

// Close ends what the Network still does in the background (deleting links that
// Teardown left, see Options.Linger) and waits for it. Twice is fine.
func (n *Network) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	close(n.stop)
	n.mu.Unlock()
	n.wg.Wait()
	err := n.sweep()
	n.route.close()
	n.slow.close()
	return errors.Join(err, n.nat.close())
}

// Reserve gives a its address; Setup then makes the links. The bridge stays from
// here on until Teardown.
func (n *Network) Reserve(ctx context.Context, a netns.Attachment) error {
	a, err := checkAttachment(a)
	if err = errors.Join(ctx.Err(), err); err != nil {
		return fmt.Errorf("set up the network of %s: %w", a.ID, err)
	}
	got, err := n.reserve(a)
	if err != nil {
		return fmt.Errorf("set up the network of %s: %w", a.ID, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reserved[a.ID] = got
	return nil
}

// claimed takes what Reserve left for an attachment.
func (n *Network) claimed(id string) (reservation, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	got, ok := n.reserved[id]
	delete(n.reserved, id)
	return got, ok
}

// Setup joins a.Path to the bridge. An attachment that was set up before keeps
// its address.
func (n *Network) Setup(ctx context.Context, a netns.Attachment) (netns.Result, error) {
	if err := ctx.Err(); err != nil {
		return netns.Result{}, err
	}
	a, err := checkAttachment(a)
	if err != nil {
		return netns.Result{}, fmt.Errorf("set up the network of %s: %w", a.ID, err)
	}
	res, err := n.setup(ctx, a)
	if err != nil {
		return netns.Result{}, fmt.Errorf("set up the network of %s: %w", a.ID, err)
	}
	return res, nil
}

func (n *Network) setup(ctx context.Context, a netns.Attachment) (netns.Result, error) {
	ns, err := netns.Open(a.Path)
	if err != nil {
		return netns.Result{}, err
	}
	defer ns.Close()
	got, ok := n.claimed(a.ID)
	if !ok {
		if got, err = n.reserve(a); err != nil {
			return netns.Result{}, err
		}
	}
	host, r := got.host, got.r
	if err := n.machine.claimPorts(ctx, n.o, r.ID, r.Ports); err != nil {
		return netns.Result{}, err
	}
	if err := n.link(r, host, ns); err != nil {
		return netns.Result{}, err
	}
	if err := limit(n.o.Host, a, r.Veth); err != nil {
		return netns.Result{}, err
	}
	if err := n.nat.promise(r); err != nil {
		return netns.Result{}, err
	}
	if err := forgetFlows(n.o.Host, r); err != nil {
		return netns.Result{}, err
	}
	return netns.Result{
		Interface: r.IfName,
		Addrs:     []netip.Prefix{netip.PrefixFrom(r.IP, host.subnet.Bits())},
		Gateways:  []netip.Addr{gateway(host.subnet)},
		DNS:       a.DNS,
	}, nil
}

// reserve makes what the host needs and writes down what the attachment gets.
// From here on the bridge stays until Teardown.
func (n *Network) reserve(a netns.Attachment) (reservation, error) {
	unlock, err := n.state.lock()
	if err != nil {
		return reservation{}, err
	}
	defer unlock()
	h, err := n.ensureHost()
	if err != nil {
		return reservation{}, err
	}
	old, err := n.state.record(a.ID)
	if err != nil {
		return reservation{}, err
	}
	got := reservation{h, record{ID: a.ID, IfName: a.IfName, Veth: n.vethName(), Ports: a.Ports}}
	if old == nil {
		return got, n.state.lease(&got.r, h.subnet)
	}
	// Again, after a failure: what was made is taken away first.
	if err := n.undo(*old, a.Path); err != nil {
		return got, err
	}
	if !h.subnet.Contains(old.IP) {
		if err := n.state.forget(*old); err != nil {
			return got, err
		}
		return got, n.state.lease(&got.r, h.subnet)
	}
	got.r.IP = old.IP
	return got, n.state.keep(got.r)
}

// Teardown undoes Setup. The pod's addresses are gone and free when it returns;
// the links are deleted in the background, where the kernel's wait for its
// readers holds nobody up, unless it was the last pod (see Options.Linger).
func (n *Network) Teardown(ctx context.Context, a netns.Attachment) error {
	if !attachID.MatchString(a.ID) {
		return nil // Setup refuses such an id
	}
	n.claimed(a.ID)
	left, err := n.release(a)
	if err != nil {
		return fmt.Errorf("tear down the network of %s: %w", a.ID, err)
	}
	last := left == 0
	if last && n.o.Linger <= 0 {
		if err := n.sweep(); err != nil {
			return fmt.Errorf("tear down the network of %s: %w", a.ID, err)
		}
		return nil
	}
	if left >= 0 {
		n.later(last)
	}
	return nil
}

// release takes the attachment's things away and says how many attachments are
// left, -1 if nothing was taken and nothing is to be.
func (n *Network) release(a netns.Attachment) (left int, err error) {
	if _, err := os.Stat(n.state.dir); errors.Is(err, os.ErrNotExist) {
		return -1, nil
	}
	unlock, err := n.state.lock()
	if err != nil {
		return -1, err
	}
	defer unlock()
	h, err := n.state.host()
	if err == nil && h == nil {
		err = n.machine.abandon(n.o)
	}
	if h == nil || err != nil {
		return -1, err
	}
	r, err := n.state.record(a.ID)
	if err != nil {
		return -1, err
	}
	if r != nil {
		if err := n.undo(*r, a.Path); err != nil {
			return -1, err
		}
		if err := errors.Join(n.machine.releasePorts(n.o, *r), n.state.forget(*r)); err != nil {
			return -1, err
		}
	}
	ids, err := n.state.ids()
	if r == nil && len(ids) > 0 {
		return -1, err
	}
	return len(ids), err
}

// undo takes away what link and promise made for r, as far as they came.
func (n *Network) undo(r record, path string) error {
	r, err := n.nat.withdraw(r)
	if err != nil {
		return err
	}
	if err := forgetFlows(n.o.Host, r); err != nil {
		return err
	}
	if err := n.unlink(r, path); err != nil {
		return err
	}
	if err := n.route.setGroup(r.Veth, n.group); err != nil {
		return fmt.Errorf("mark the link %s for deletion: %w", r.Veth, err)
	}
	return nil
}

// unlink takes the address off the pod's interface, so that it can be given to
// another pod at once, while the namespace may live on.
func (n *Network) unlink(r record, path string) error {
	ns, err := netns.Open(path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, netns.ErrNotNamespace) || path == "" {
		return nil // gone, and everything in it
	}
	if err != nil {
		return err
	}
	defer ns.Close()
	h, err := n.state.host()
	if h == nil || err != nil {
		return err
	}
	return effectPod.Do(func() error {
		c, err := dial(ns)
		if err != nil {
			return err
		}
		defer c.close()
		l, err := c.find(r.IfName)
		if l.index == 0 || err != nil {
			return err
		}
		err = c.delAddress(l.index, netip.PrefixFrom(r.IP, h.Subnet.Bits()))
		if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENODEV) {
			return nil
		}
		return err
	})
}

// Ready says why pods cannot be joined to a network: missing rights, no free
// range, or a host that drops what it forwards (see Options.AllowForwardDrop).
// That all addresses of the range are leased is told by Setup alone.
func (n *Network) Ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := n.ready(); err != nil {
		return fmt.Errorf("bridge network %s: %w", n.o.ID, err)
	}
	if n.o.AllowForwardDrop {
		return nil
	}
	warn, err := n.Warnings(ctx)
	return errors.Join(append(warn, err)...)
}

func (n *Network) ready() error {
	unlock, err := n.state.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := n.nat.exists(); err != nil {
		return err
	}
	h, err := n.state.host()
	if h != nil || err != nil {
		return err
	}
	taken, _, err := routesOf(n.o.Host)
	if err != nil {
		return err
	}
	_, err = chooseSubnet(n.o.Pools, taken)
	return err
}
