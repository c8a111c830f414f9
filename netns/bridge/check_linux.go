package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/lifepod/lifepod/netns"
	"github.com/vishvananda/netlink"
	vns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Check compares what is there with what Setup left: the lease, both ends of
// the link, address, route and host ports. The error names the first thing that
// is missing.
func (n *Network) Check(ctx context.Context, a netns.Attachment) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	a, err := checkAttachment(a)
	if err == nil {
		err = n.check(a)
	}
	if err != nil {
		return fmt.Errorf("check the network of %s: %w", a.ID, err)
	}
	return nil
}

func (n *Network) check(a netns.Attachment) error {
	unlock, err := n.state.lock()
	if err != nil {
		return err
	}
	defer unlock()
	h, err := n.state.host()
	if err != nil {
		return err
	}
	var r *record
	if h != nil {
		r, err = n.state.record(a.ID)
	}
	if r == nil {
		return errors.Join(err, errors.New("it has no address: it is not set up"))
	}
	if _, err := os.Stat(n.state.leasePath(r.IP)); err != nil {
		return fmt.Errorf("the lease of %s is gone: %w", r.IP, err)
	}
	if err := n.checkHost(*r); err != nil {
		return err
	}
	if err := checkPod(*r, h.Subnet, a.Path); err != nil {
		return err
	}
	have, err := n.nat.promised(*r)
	if err != nil {
		return err
	}
	for _, p := range a.Ports {
		if !slices.Contains(have, p) {
			return fmt.Errorf("host port %d/%s is not forwarded", p.HostPort, p.Protocol)
		}
	}
	return nil
}

func (n *Network) checkHost(r record) error {
	bridge, err := n.route.find(n.o.bridgeName())
	if err != nil {
		return err
	}
	if bridge.index == 0 {
		return fmt.Errorf("the bridge %s is gone", n.o.bridgeName())
	}
	return onHost(n.o.Host, func() error {
		c, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer c.Close()
		l, err := c.LinkByName(r.Veth)
		if err != nil {
			return fmt.Errorf("the host's link %s: %w", r.Veth, err)
		}
		switch {
		case l.Attrs().MasterIndex != bridge.index:
			return fmt.Errorf("the host's link %s is not in the bridge %s", r.Veth, n.o.bridgeName())
		case l.Attrs().Flags&net.FlagUp == 0:
			return fmt.Errorf("the host's link %s is down", r.Veth)
		}
		return nil
	})
}

func checkPod(r record, subnet netip.Prefix, path string) error {
	ns, err := netns.Open(path)
	if err != nil {
		return err
	}
	defer ns.Close()
	c, err := netlink.NewHandleAt(vns.NsHandle(ns.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer c.Close()
	l, err := c.LinkByName(r.IfName)
	if err != nil {
		return fmt.Errorf("the pod's interface %s: %w", r.IfName, err)
	}
	if l.Attrs().Flags&net.FlagUp == 0 {
		return fmt.Errorf("the pod's interface %s is down", r.IfName)
	}
	addrs, err := c.AddrList(l, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(addrs, func(a netlink.Addr) bool { return a.IP.Equal(r.IP.AsSlice()) }) {
		return fmt.Errorf("the pod's interface %s has lost the address %s", r.IfName, r.IP)
	}
	routes, err := c.RouteList(l, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(routes, func(r netlink.Route) bool {
		p, ok := prefixOf(r)
		return (!ok || p.Bits() == 0) && r.Gw.Equal(gateway(subnet).AsSlice())
	}) {
		return fmt.Errorf("the pod has lost its default route through %s", gateway(subnet))
	}
	return nil
}
