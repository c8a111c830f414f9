package bridge

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/netns"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	vns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

var (
	effectVeth = sys.NewEffect("bridge/veth")
	effectPod  = sys.NewEffect("bridge/pod")
	effectReap = sys.NewEffect("bridge/reap")
)

// onHost runs f in the namespace that plays the host.
func onHost(host string, f func() error) error {
	if host == "" {
		return f()
	}
	return netns.Do(host, f)
}

// conn is a route socket in one namespace. The calls that every pod makes are
// built here, each as one message; the rare ones go through netlink's Handle.
type conn struct{ sockets map[int]*nl.SocketHandle }

// dial opens a socket in the namespace of file ns, or in the thread's for nil.
func dial(ns *os.File) (*conn, error) {
	at := vns.None()
	if ns != nil {
		at = vns.NsHandle(ns.Fd())
	}
	s, err := nl.GetNetlinkSocketAt(at, vns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	if err := s.SetExtAck(true); err != nil {
		s.Close()
		return nil, err
	}
	return &conn{map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: s}}}, nil
}

func (c *conn) close() {
	for _, s := range c.sockets {
		s.Close()
	}
}

func (c *conn) do(proto, flags int, parts ...nl.NetlinkRequestData) ([][]byte, error) {
	req := nl.NewNetlinkRequest(proto, flags|unix.NLM_F_ACK)
	req.Sockets = c.sockets
	for _, p := range parts {
		req.AddData(p)
	}
	return req.Execute(unix.NETLINK_ROUTE, 0)
}

// veth describes the pair of one pod.
type veth struct {
	name, peer string
	bridge     int // index of the bridge that name becomes a port of
	ns         int // descriptor of the namespace that peer is made in
	mtu        int
	mac        []byte
}

// addVeth makes the pair in one message: the host's end up and in the bridge,
// the other in the pod's namespace, where it must be brought up (the kernel
// cannot raise it before the pair is whole).
func (c *conn) addVeth(v veth) error {
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Flags, msg.Change = unix.IFF_UP, unix.IFF_UP
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	peer.AddRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(v.peer))
	peer.AddRtAttr(unix.IFLA_ADDRESS, v.mac)
	peer.AddRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(v.mtu)))
	peer.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(v.ns)))
	_, err := c.do(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, msg,
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(v.name)),
		nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(v.mtu))),
		nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(v.bridge))), info)
	return err
}

// link is what the kernel says of one; index 0 means that there is none.
type link struct {
	index, mtu int
	group      uint32
	oper       byte
	up         bool
}

// find asks for the link by name. On newer kernels this also settles the link's
// state, so that a bridge uses a port whose peer has just come up.
func (c *conn) find(name string) (link, error) {
	msgs, err := c.do(unix.RTM_GETLINK, 0, nl.NewIfInfomsg(unix.AF_UNSPEC),
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	if errors.Is(err, unix.ENODEV) {
		return link{}, nil
	}
	if err != nil || len(msgs) == 0 || len(msgs[0]) < unix.SizeofIfInfomsg {
		return link{}, fmt.Errorf("look for the link %s: %w", name, errors.Join(err, unix.EIO))
	}
	info := nl.DeserializeIfInfomsg(msgs[0])
	l := link{index: int(info.Index), up: info.Flags&unix.IFF_UP != 0}
	attrs, err := nl.ParseRouteAttr(msgs[0][unix.SizeofIfInfomsg:])
	for _, a := range attrs {
		switch {
		case a.Attr.Type == unix.IFLA_MTU && len(a.Value) >= 4:
			l.mtu = int(nl.NativeEndian().Uint32(a.Value))
		case a.Attr.Type == unix.IFLA_GROUP && len(a.Value) >= 4:
			l.group = nl.NativeEndian().Uint32(a.Value)
		case a.Attr.Type == unix.IFLA_OPERSTATE && len(a.Value) >= 1:
			l.oper = a.Value[0]
		}
	}
	return l, err
}

func (c *conn) up(index int) error {
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index, msg.Flags, msg.Change = int32(index), unix.IFF_UP, unix.IFF_UP
	_, err := c.do(unix.RTM_NEWLINK, 0, msg)
	return err
}

func (c *conn) addAddress(index int, p netip.Prefix) error {
	msg := nl.NewIfAddrmsg(unix.AF_INET)
	msg.Index, msg.Prefixlen = uint32(index), uint8(p.Bits())
	a := p.Addr().As4()
	b := offset(p.Masked().Addr(), size(p)-1).As4()
	_, err := c.do(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, msg, nl.NewRtAttr(unix.IFA_LOCAL, a[:]),
		nl.NewRtAttr(unix.IFA_ADDRESS, a[:]), nl.NewRtAttr(unix.IFA_BROADCAST, b[:]))
	return err
}

func (c *conn) delAddress(index int, p netip.Prefix) error {
	msg := nl.NewIfAddrmsg(unix.AF_INET)
	msg.Index, msg.Prefixlen = uint32(index), uint8(p.Bits())
	a := p.Addr().As4()
	_, err := c.do(unix.RTM_DELADDR, 0, msg, nl.NewRtAttr(unix.IFA_LOCAL, a[:]))
	return err
}

func (c *conn) addDefault(index int, via netip.Addr) error {
	msg := nl.NewRtMsg()
	msg.Family = unix.AF_INET
	a := via.As4()
	_, err := c.do(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, msg,
		nl.NewRtAttr(unix.RTA_GATEWAY, a[:]), nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(index))))
	return err
}

// hairpin lets the bridge send a frame back out of the port that it came from.
func (c *conn) hairpin(index int) error {
	msg := nl.NewIfInfomsg(unix.AF_BRIDGE)
	msg.Index = int32(index)
	port := nl.NewRtAttr(unix.IFLA_PROTINFO|unix.NLA_F_NESTED, nil)
	port.AddRtAttr(nl.IFLA_BRPORT_MODE, []byte{1})
	_, err := c.do(unix.RTM_SETLINK, 0, msg, port)
	return err
}

// setGroup marks the link by name for delGroup. A link that is gone is no error.
func (c *conn) setGroup(name string, group uint32) error {
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	_, err := c.do(unix.RTM_SETLINK, 0, msg, nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)),
		nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(group)))
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// delGroup deletes all links of a group. The kernel waits for its readers once
// for all of them, tens of milliseconds, not once for each.
func (c *conn) delGroup(group uint32) error {
	return effectReap.Do(func() error {
		_, err := c.do(unix.RTM_DELLINK, 0, nl.NewIfInfomsg(unix.AF_UNSPEC), nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(group)))
		if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
			return nil // there was none
		}
		return err
	})
}

// routesOf lists the ranges that the host's addresses and routes cover.
func routesOf(host string) (taken []netip.Prefix, mtu int, err error) {
	mtu = 1500
	err = onHost(host, func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		routes, err := h.RouteList(nil, netlink.FAMILY_V4)
		if err != nil {
			return fmt.Errorf("list routes: %w", err)
		}
		for _, r := range routes {
			p, ok := prefixOf(r)
			if ok && p.Bits() > 0 {
				taken = append(taken, p)
			} else if l, err := h.LinkByIndex(r.LinkIndex); err == nil {
				mtu = l.Attrs().MTU
			}
		}
		addrs, err := h.AddrList(nil, netlink.FAMILY_V4)
		for _, a := range addrs {
			if ip, ok := netip.AddrFromSlice(a.IP.To4()); ok {
				ones, _ := a.Mask.Size()
				taken = append(taken, netip.PrefixFrom(ip, ones).Masked())
			}
		}
		return err
	})
	return taken, mtu, err
}

func prefixOf(r netlink.Route) (netip.Prefix, bool) {
	if r.Dst == nil {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(r.Dst.IP.To4())
	ones, _ := r.Dst.Mask.Size()
	return netip.PrefixFrom(ip, ones), ok
}
