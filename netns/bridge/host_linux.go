package bridge

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var effectBridge = sys.NewEffect("bridge/bridge")

// onhost is what every pod's link needs to know of the host.
type onhost struct {
	subnet netip.Prefix
	bridge int
	mtu    int
}

// groupOf is the number of the link group that the root's dead links are put
// into. Small numbers are people's.
func groupOf(id string) uint32 {
	v, _ := strconv.ParseUint(id, 16, 32)
	return uint32(v) | 1<<31
}

// vethName is a new name for the host's end: v, the root's id, six digits.
func (n *Network) vethName() string {
	var b [3]byte
	_, _ = rand.Read(b[:])
	return "v" + n.o.ID + hex.EncodeToString(b[:])
}

// ensureHost makes what all pods share, or repairs it: bridge and table may
// have been removed by hand. The caller holds the root's lock.
func (n *Network) ensureHost() (onhost, error) {
	rec, err := n.state.host()
	if err != nil {
		return onhost{}, err
	}
	if rec != nil {
		h, ok, err := n.standing(rec.Subnet)
		if ok || err != nil {
			return h, err
		}
	}
	taken, mtu, err := routesOf(n.o.Host)
	if err != nil {
		return onhost{}, err
	}
	if n.o.MTU != 0 {
		mtu = n.o.MTU
	}
	h := onhost{mtu: mtu}
	if rec != nil {
		h.subnet = rec.Subnet
		err = n.reforward()
	} else {
		h.subnet, err = n.machine.claim(n.o, taken, func(s netip.Prefix) error {
			return writeJSON(n.state.hostPath(), hostRecord{bootID(), s})
		})
	}
	if err != nil {
		return h, err
	}
	rs, err := n.state.records()
	if err != nil {
		return h, err
	}
	// The table first: it shields the loopback that the bridge opens.
	if err := n.nat.install(h.subnet, rs); err != nil {
		return h, err
	}
	h.bridge, err = n.makeBridge(h)
	return h, err
}

// standing finds bridge and table as an earlier Setup left them.
func (n *Network) standing(subnet netip.Prefix) (onhost, bool, error) {
	l, err := n.route.find(n.o.bridgeName())
	if l.index == 0 || err != nil {
		return onhost{}, false, err
	}
	if l.group == n.group { // a crash came while it was being deleted
		return onhost{}, false, n.slow.delGroup(n.group)
	}
	if !l.up { // a crash came while it was being made: up is the last of it
		return onhost{}, false, nil
	}
	ok, err := n.nat.exists()
	if !ok || err != nil {
		return onhost{}, false, err
	}
	return onhost{subnet: subnet, bridge: l.index, mtu: l.mtu}, true, nil
}

// reforward switches forwarding on again, in case it was switched off.
func (n *Network) reforward() error {
	unlock, err := n.machine.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return n.machine.set(n.o.Host, forwarding, "1")
}

func (n *Network) makeBridge(h onhost) (int, error) {
	name := n.o.bridgeName()
	index := 0
	err := effectBridge.Do(func() error {
		return onHost(n.o.Host, func() error {
			c, err := netlink.NewHandle(unix.NETLINK_ROUTE)
			if err != nil {
				return err
			}
			defer c.Close()
			la := netlink.NewLinkAttrs()
			la.Name, la.MTU = name, h.mtu
			// Its own address, or it would change with the ports.
			la.HardwareAddr = net.HardwareAddr(hardware(gateway(h.subnet)))
			if err := c.LinkAdd(&netlink.Bridge{LinkAttrs: la}); err != nil && !errors.Is(err, unix.EEXIST) {
				return err
			}
			l, err := c.LinkByName(name)
			if err != nil {
				return err
			}
			if l.Type() != "bridge" {
				return fmt.Errorf("there is a link of that name already, a %s", l.Type())
			}
			index = l.Attrs().Index
			for setting, value := range map[string]string{"ipv4/conf/" + name + "/route_localnet": "1", "ipv6/conf/" + name + "/disable_ipv6": "1"} {
				if err := writeSysctl("net/"+setting, value); err != nil && !errors.Is(err, unix.ENOENT) {
					return err
				}
			}
			g := &net.IPNet{IP: gateway(h.subnet).AsSlice(), Mask: net.CIDRMask(h.subnet.Bits(), 32)}
			if err := c.AddrReplace(l, &netlink.Addr{IPNet: g}); err != nil {
				return err
			}
			return c.LinkSetUp(l)
		})
	})
	if err != nil {
		return 0, fmt.Errorf("make the bridge %s: %w", name, err)
	}
	return index, nil
}

// sweep deletes dead links and, when no pod is left, everything on the host.
func (n *Network) sweep() error {
	unlock, err := n.state.lock()
	if err != nil {
		return err
	}
	defer unlock()
	h, err := n.state.host()
	if err != nil {
		return err
	}
	if h == nil { // unless a crash left a claim, nothing is there
		return n.machine.abandon(n.o)
	}
	ids, err := n.state.ids()
	if err != nil {
		return err
	}
	if len(ids) > 0 {
		unlock() // dead links are nobody's: no Setup need wait for them
		return n.slow.delGroup(n.group)
	}
	// Bridge and links together: one wait of the kernel.
	if err := n.route.setGroup(n.o.bridgeName(), n.group); err != nil {
		return err
	}
	if err := n.slow.delGroup(n.group); err != nil {
		return err
	}
	if err := n.nat.remove(); err != nil {
		return err
	}
	if err := n.machine.release(n.o); err != nil {
		return err
	}
	removeUnfinished(n.state.dir, filepath.Join(n.state.dir, "pods"))
	return effectForget.Do(func() error { return remove(n.state.hostPath()) })
}
