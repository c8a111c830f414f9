package bridge

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"time"

	"github.com/lifepod/lifepod/netns"
)

// Options configure a [Network]. ID and Dir are needed.
type Options struct {
	// ID is the root's id, eight lower-case hexadecimal digits. It is part of
	// every name that the network gives.
	ID string
	// Dir keeps the root's attachments and leases. It is made when needed. It
	// should lie on a file system that dies with the boot, as its content does.
	Dir string
	// Shared is where the roots of one machine claim ranges and ports. Empty
	// means /run/lifepod-net. All roots of a machine must name the same.
	Shared string
	// Pools are the IPv4 ranges that the root's own range is taken from: the
	// first /24 (or a whole pool that is smaller) that no route, address or
	// other root has. Empty means 10.210.0.0/16, then 172.28.0.0/14.
	Pools []netip.Prefix
	// Host is the pinned network namespace that plays the host. Empty means the
	// one that the process is in.
	Host string
	// MTU of the pods' interfaces. Zero means that of the host's default route,
	// or 1500.
	MTU int
	// Linger keeps bridge, table and settings for this long after the last pod,
	// which takes their removal (tens of milliseconds in the kernel) off the
	// last Teardown's path and spares the next pod their making. Close ends it.
	// Zero removes them before the last Teardown returns.
	Linger time.Duration
	// AllowForwardDrop makes Ready accept a host that drops what it forwards;
	// Warnings still names it. Pods are then reached from the host and from each
	// other only.
	AllowForwardDrop bool
}

const defaultShared = "/run/lifepod-net"

var (
	defaultPools = []netip.Prefix{netip.MustParsePrefix("10.210.0.0/16"), netip.MustParsePrefix("172.28.0.0/14")}
	rootID       = regexp.MustCompile(`^[0-9a-f]{8}$`)
	attachID     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)
	interfaceNm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$`)
)

func (o Options) withDefaults() (Options, error) {
	if !rootID.MatchString(o.ID) {
		return o, fmt.Errorf("bridge: ID %q must be eight digits of 0-9a-f", o.ID)
	}
	if !filepath.IsAbs(o.Dir) {
		return o, fmt.Errorf("bridge: Dir %q must be an absolute path", o.Dir)
	}
	if o.Shared == "" {
		o.Shared = defaultShared
	}
	if len(o.Pools) == 0 {
		o.Pools = defaultPools
	}
	for _, p := range o.Pools {
		if !p.IsValid() || !p.Addr().Is4() || p.Bits() > 29 {
			return o, fmt.Errorf("bridge: pool %s must be an IPv4 range of at least eight addresses", p)
		}
	}
	if o.MTU != 0 && (o.MTU < 576 || o.MTU > 65535) {
		return o, fmt.Errorf("bridge: MTU %d must be between 576 and 65535", o.MTU)
	}
	return o, nil
}

func (o Options) bridgeName() string { return "lp-" + o.ID }
func (o Options) tableName() string  { return "lifepod-" + o.ID }

// checkAttachment refuses what would not be honoured, and fills in the defaults.
func checkAttachment(a netns.Attachment) (netns.Attachment, error) {
	if a.IfName == "" {
		a.IfName = "eth0"
	}
	var errs []error
	if !attachID.MatchString(a.ID) {
		errs = append(errs, fmt.Errorf("attachment id %q: use letters, digits, '.', '_' and '-', at most 128", a.ID))
	}
	if !interfaceNm.MatchString(a.IfName) || a.IfName == "lo" {
		errs = append(errs, fmt.Errorf("interface name %q: use letters, digits, '.', '_' and '-', at most 15, not lo", a.IfName))
	}
	if len(a.IPs) > 0 {
		errs = append(errs, fmt.Errorf("addresses %v: the built-in bridge chooses addresses itself; leave IPs empty or use a CNI network", a.IPs))
	}
	var ports []netns.PortMapping
	for _, p := range a.Ports {
		if p.HostPort == 0 {
			continue // as everywhere in Kubernetes: no host port
		}
		p, err := checkPort(p)
		errs = append(errs, err)
		ports = append(ports, p)
	}
	a.Ports = ports
	return a, errors.Join(errs...)
}

func checkPort(p netns.PortMapping) (netns.PortMapping, error) {
	if protocols[p.Protocol] == 0 {
		return p, fmt.Errorf("host port %d: protocol %q must be tcp, udp or sctp", p.HostPort, p.Protocol)
	}
	if p.ContainerPort == 0 {
		return p, fmt.Errorf("host port %d/%s: the container port is missing", p.HostPort, p.Protocol)
	}
	p.HostIP = p.HostIP.Unmap()
	if p.HostIP.IsValid() && p.HostIP.IsUnspecified() {
		p.HostIP = netip.Addr{}
	}
	if p.HostIP.IsValid() && !p.HostIP.Is4() {
		return p, fmt.Errorf("host port %d/%s: address %s: the built-in bridge forwards IPv4 only", p.HostPort, p.Protocol, p.HostIP)
	}
	return p, nil
}

var protocols = map[string]byte{"tcp": 6, "udp": 17, "sctp": 132}
