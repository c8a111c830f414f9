package bridge

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/netns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var effectShape = sys.NewEffect("bridge/shape")

// link joins the namespace: a pair of links, address and route inside.
func (n *Network) link(r record, h onhost, ns *os.File) error {
	pod, err := dial(ns)
	if err != nil {
		return err
	}
	defer pod.close()
	v := veth{name: r.Veth, peer: r.IfName, bridge: h.bridge, ns: int(ns.Fd()), mtu: h.mtu, mac: hardware(r.IP)}
	if err := n.addVeth(v, pod); err != nil {
		return err
	}
	return effectPod.Do(func() error {
		const loopback = 1 // its index in every namespace
		if err := pod.up(loopback); err != nil {
			return fmt.Errorf("bring lo up: %w", err)
		}
		l, err := pod.find(r.IfName)
		if err != nil || l.index == 0 {
			return errors.Join(err, fmt.Errorf("the interface %s vanished", r.IfName))
		}
		if err := pod.up(l.index); err != nil {
			return fmt.Errorf("bring %s up: %w", r.IfName, err)
		}
		if err := pod.addAddress(l.index, netip.PrefixFrom(r.IP, h.subnet.Bits())); err != nil {
			return fmt.Errorf("give %s the address %s: %w", r.IfName, r.IP, err)
		}
		if err := pod.addDefault(l.index, gateway(h.subnet)); err != nil {
			return fmt.Errorf("add the default route through %s: %w", gateway(h.subnet), err)
		}
		l, err = n.carries(r.Veth)
		if err == nil && len(r.Ports) > 0 {
			// Where the host filters bridged packets (bridge-nf-call-iptables, the
			// kernel's default), a pod that asks for its own host port is sent back
			// by the bridge itself.
			err = n.route.hairpin(l.index)
		}
		return err
	})
}

// carries waits until the bridge forwards to the pod's link. The kernel works
// that out a moment after the pod's end came up; a connection tried before would
// lose its first packet and with it a second.
func (n *Network) carries(name string) (link, error) {
	for range 50 {
		l, err := n.route.find(name)
		if err != nil || l.index == 0 {
			return l, errors.Join(err, fmt.Errorf("the link %s vanished", name))
		}
		if l.oper == netlink.OperUp {
			return l, nil
		}
		time.Sleep(time.Millisecond)
	}
	return link{}, fmt.Errorf("the link %s does not come up", name)
}

// addVeth makes the pair. A pair that an earlier Setup or Teardown of ours left
// in the namespace is in the root's group of dead links and is deleted first.
func (n *Network) addVeth(v veth, pod *conn) error {
	add := func() error { return effectVeth.Do(func() error { return n.route.addVeth(v) }) }
	err := add()
	if errors.Is(err, unix.EEXIST) {
		if err := n.slow.delGroup(n.group); err != nil {
			return err
		}
		err = add()
	}
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("the namespace has an interface %s already", v.peer)
	}
	if err != nil {
		return fmt.Errorf("make the link %s for %s: %w", v.name, v.peer, err)
	}
	return nil
}

// later deletes dead links in the background, a batch at a time: most pods'
// links are gone by then, with their namespaces.
func (n *Network) later(last bool) {
	const batch = 100 * time.Millisecond
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || n.reaping {
		return
	}
	n.reaping = true
	wait := batch
	if last {
		wait = n.o.Linger
	}
	n.wg.Go(func() {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-n.stop:
		}
		n.mu.Lock()
		n.reaping = false
		n.mu.Unlock()
		_ = n.sweep() // what it leaves, the next sweep takes: Teardown, Close or another process
	})
}

// limit shapes what goes into the pod at the host's end of the pair, and what
// comes out of it at the pod's own interface.
func limit(host string, a netns.Attachment, vethName string) error {
	b := a.Bandwidth
	if b == nil {
		return nil
	}
	return effectShape.Do(func() error {
		if b.Ingress > 0 {
			if err := onHost(host, func() error { return bucket(vethName, b.Ingress) }); err != nil {
				return fmt.Errorf("limit ingress to %d bit/s: %w", b.Ingress, err)
			}
		}
		if b.Egress > 0 {
			if err := netns.Do(a.Path, func() error { return bucket(a.IfName, b.Egress) }); err != nil {
				return fmt.Errorf("limit egress to %d bit/s: %w", b.Egress, err)
			}
		}
		return nil
	})
}

// bucket puts a token bucket on a link: bursts of 10 ms, at least 64 KiB so
// that a segment of the largest size passes, and a queue of 50 ms.
func bucket(link string, bits uint64) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	l, err := h.LinkByName(link)
	if err != nil {
		return err
	}
	rate := max(bits/8, 1)
	burst := min(max(rate/100, 1<<16), 1<<28)
	queue := min(rate/20, 1<<30) + burst
	return h.QdiscReplace(&netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       rate, Limit: uint32(queue), Buffer: netlink.Xmittime(rate, uint32(burst)),
	})
}
