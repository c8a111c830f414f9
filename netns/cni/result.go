package cni

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/lifepod/lifepod/netns"
)

const mostAddresses, mostDNS = 64, 256

// convert takes from a plugin's answer what the pod got on its interface. The
// answer comes from outside: anything that is no plain address is an error.
func convert(r types.Result, ifName string) (netns.Result, error) {
	if r == nil {
		return netns.Result{}, errors.New("the plugins gave no result")
	}
	res, err := types100.NewResultFromResult(r)
	if err != nil {
		return netns.Result{}, err
	}
	out := netns.Result{Interface: ifName}
	for i, ip := range res.IPs {
		if ip == nil {
			return out, fmt.Errorf("address %d is null", i)
		}
		mine, err := belongs(res, ip, ifName)
		if err != nil {
			return out, fmt.Errorf("address %d: %w", i, err)
		}
		if !mine {
			continue
		}
		if err := add(&out, ip); err != nil {
			return out, fmt.Errorf("address %d: %w", i, err)
		}
	}
	if len(out.Addrs) == 0 {
		return out, fmt.Errorf("the plugins gave %s no address", ifName)
	}
	if len(out.Addrs) > mostAddresses {
		return out, fmt.Errorf("the plugins gave %s %d addresses, more than %d", ifName, len(out.Addrs), mostAddresses)
	}
	// IPv4 first, else as they came.
	slices.SortStableFunc(out.Addrs, func(a, b netip.Prefix) int { return family(a.Addr()) - family(b.Addr()) })
	slices.SortStableFunc(out.Gateways, func(a, b netip.Addr) int { return family(a) - family(b) })
	out.DNS, err = resolver(res.DNS)
	return out, err
}

// belongs says whether ip is on the pod's interface of that name. One that names
// no interface is.
func belongs(res *types100.Result, ip *types100.IPConfig, ifName string) (bool, error) {
	if ip.Interface == nil {
		return true, nil
	}
	i := *ip.Interface
	if i < 0 || i >= len(res.Interfaces) || res.Interfaces[i] == nil {
		return false, fmt.Errorf("it is on interface %d of %d", i, len(res.Interfaces))
	}
	return res.Interfaces[i].Sandbox != "" && res.Interfaces[i].Name == ifName, nil
}

func add(out *netns.Result, ip *types100.IPConfig) error {
	a, ok := netip.AddrFromSlice(ip.Address.IP)
	a = a.Unmap()
	ones, bits := ip.Address.Mask.Size()
	if a.Is4() && bits == 128 && ones >= 96 {
		ones, bits = ones-96, 32
	}
	if !ok || bits != a.BitLen() {
		return fmt.Errorf("%s is no address with a prefix length", ip.Address.String())
	}
	if a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() {
		return fmt.Errorf("%s cannot be a pod's", a)
	}
	p := netip.PrefixFrom(a, ones)
	if slices.ContainsFunc(out.Addrs, func(o netip.Prefix) bool { return o.Addr() == a }) {
		return fmt.Errorf("%s occurs twice", a)
	}
	out.Addrs = append(out.Addrs, p)
	if len(ip.Gateway) == 0 {
		return nil
	}
	return gateway(out, ip.Gateway)
}

func gateway(out *netns.Result, ip net.IP) error {
	g, ok := netip.AddrFromSlice(ip)
	if !ok || g.IsUnspecified() || g.IsLoopback() || g.IsMulticast() {
		return fmt.Errorf("gateway %s is no host's address", ip)
	}
	if g = g.Unmap(); !slices.Contains(out.Gateways, g) {
		out.Gateways = append(out.Gateways, g)
	}
	return nil
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}

// resolver checks what would be written into a resolv.conf, where a line break
// would be a line of the plugin's own.
func resolver(d types.DNS) (netns.DNS, error) {
	out := netns.DNS{Servers: d.Nameservers, Searches: d.Search, Options: d.Options}
	if d.Domain != "" && len(d.Search) == 0 {
		out.Searches = []string{d.Domain}
	}
	for _, list := range [][]string{out.Servers, out.Searches, out.Options} {
		if len(list) > mostDNS {
			return netns.DNS{}, fmt.Errorf("DNS: %d entries, more than %d", len(list), mostDNS)
		}
		for _, s := range list {
			if s == "" || len(s) > 255 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
				return netns.DNS{}, fmt.Errorf("DNS: %q is no word of a resolv.conf", s)
			}
		}
	}
	for _, s := range out.Servers {
		if _, err := netip.ParseAddr(s); err != nil {
			return netns.DNS{}, fmt.Errorf("DNS: server %q is no address", s)
		}
	}
	return out, nil
}
