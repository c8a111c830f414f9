package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lifepod/lifepod/netns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// portClaim says which pod of which root has a host port.
type portClaim struct {
	Dir string `json:"dir"`
	Pod string `json:"pod"`
}

func portFile(p netns.PortMapping) string {
	addr := "any"
	if p.HostIP.IsValid() {
		addr = p.HostIP.String()
	}
	return p.Protocol + "-" + strconv.Itoa(int(p.HostPort)) + "-" + addr
}

// claimPorts takes the attachment's ports for it, on the whole machine. A port
// that a program listens on, or that a pod of any root has, is an error.
func (m machine) claimPorts(ctx context.Context, o Options, id string, ports []netns.PortMapping) error {
	if len(ports) == 0 {
		return nil
	}
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	names, err := readNames(filepath.Join(m.dir, "ports"))
	if err != nil {
		return err
	}
	for _, p := range ports {
		mine, err := m.conflict(o, id, p, names)
		if err != nil {
			return err
		}
		if !mine {
			if err := onHost(o.Host, func() error { return bindable(ctx, p) }); err != nil {
				return err
			}
		}
		c := portClaim{o.Dir, id}
		if err := effectClaim.Do(func() error { return writeJSON(filepath.Join(m.dir, "ports", portFile(p)), c) }); err != nil {
			return err
		}
		names = append(names, portFile(p))
	}
	return nil
}

// conflict says whether the attachment has p already, and fails if another has
// p, or the same port on an address that p includes or is included by.
func (m machine) conflict(o Options, id string, p netns.PortMapping, names []string) (mine bool, err error) {
	same := p.Protocol + "-" + strconv.Itoa(int(p.HostPort)) + "-"
	for _, n := range names {
		addr, ok := strings.CutPrefix(n, same)
		if !ok || addr != "any" && p.HostIP.IsValid() && addr != p.HostIP.String() {
			continue
		}
		var c portClaim
		if ok, err := readJSON(filepath.Join(m.dir, "ports", n), &c); !ok || err != nil {
			if err != nil {
				return false, err
			}
			continue
		}
		if c.Dir == o.Dir && c.Pod == id {
			if n != portFile(p) {
				return false, fmt.Errorf("host port %d/%s is asked for twice, once for all addresses", p.HostPort, p.Protocol)
			}
			mine = true
			continue
		}
		if _, err := os.Stat(state{c.Dir}.recordPath(c.Pod)); errors.Is(err, os.ErrNotExist) {
			continue // its pod is gone; a crash came between
		}
		return false, fmt.Errorf("host port %d/%s on %s is taken by %s (root %s): stop that pod or use another port",
			p.HostPort, p.Protocol, where(p.HostIP), c.Pod, filepath.Dir(c.Dir))
	}
	return mine, nil
}

// releasePorts gives back those of ports that the attachment has.
func (m machine) releasePorts(o Options, r record) error {
	if len(r.Ports) == 0 {
		return nil
	}
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	var errs []error
	for _, p := range r.Ports {
		path := filepath.Join(m.dir, "ports", portFile(p))
		var c portClaim
		if ok, _ := readJSON(path, &c); ok && c.Dir == o.Dir && c.Pod == r.ID {
			errs = append(errs, effectClaim.Do(func() error { return remove(path) }))
		}
	}
	return errors.Join(errs...)
}

func where(a netip.Addr) string {
	if a.IsValid() {
		return a.String()
	}
	return "all addresses"
}

// bindable binds p for a moment.
func bindable(ctx context.Context, p netns.PortMapping) error {
	addr := netip.AddrPortFrom(netip.IPv4Unspecified(), p.HostPort)
	if p.HostIP.IsValid() {
		addr = netip.AddrPortFrom(p.HostIP, p.HostPort)
	}
	var err error
	var c interface{ Close() error }
	switch p.Protocol {
	case "tcp":
		c, err = new(net.ListenConfig).Listen(ctx, "tcp4", addr.String())
	case "udp":
		c, err = new(net.ListenConfig).ListenPacket(ctx, "udp4", addr.String())
	default:
		return bindSCTP(addr)
	}
	if errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("host port %d/%s on %s is taken: a program listens on it; stop it or use another port", p.HostPort, p.Protocol, where(p.HostIP))
	}
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("host port %d/%s: the host has no address %s", p.HostPort, p.Protocol, p.HostIP)
	}
	if err != nil {
		return fmt.Errorf("host port %d/%s: %w", p.HostPort, p.Protocol, err)
	}
	return c.Close()
}

// bindSCTP does so for SCTP. A kernel without SCTP sockets has no listener that
// could be in the way; it forwards SCTP all the same.
func bindSCTP(addr netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ESOCKTNOSUPPORT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("host port %d/sctp: %w", addr.Port(), err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
		return fmt.Errorf("host port %d/sctp on %s is taken: %w", addr.Port(), addr.Addr(), err)
	}
	return nil
}

// forgetFlows removes what connection tracking remembers of UDP to r's ports:
// packets of a known flow would go on where the flow went, around the map.
func forgetFlows(host string, r record) error {
	var filters []netlink.CustomConntrackFilter
	for _, p := range r.Ports {
		if p.Protocol == "udp" {
			filters = append(filters, udpTo(p.HostPort))
		}
	}
	if len(filters) == 0 {
		return nil
	}
	err := effectPorts.Do(func() error {
		return onHost(host, func() error {
			_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, filters...)
			return err
		})
	})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("forget UDP flows to the host ports of %s: %w", r.ID, err)
	}
	return nil
}

type udpTo uint16

// MatchConntrackFlow says whether a flow was sent to the port over UDP.
func (port udpTo) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	return f.Forward.Protocol == unix.IPPROTO_UDP && f.Forward.DstPort == uint16(port)
}
