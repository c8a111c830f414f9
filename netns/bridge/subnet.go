package bridge

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// chooseSubnet returns the first /24 of pools, or the first smaller pool as a
// whole, that overlaps with nothing in taken.
func chooseSubnet(pools, taken []netip.Prefix) (netip.Prefix, error) {
	for _, pool := range pools {
		pool = pool.Masked()
		bits := max(pool.Bits(), 24)
		for a := pool.Addr(); pool.Contains(a); {
			s := netip.PrefixFrom(a, bits)
			if !overlaps(s, taken) {
				return s, nil
			}
			next := offset(a, 1<<(32-bits))
			if next.Less(a) { // past the last address there is
				break
			}
			a = next
		}
	}
	return netip.Prefix{}, fmt.Errorf("no free address range: every /24 of %s is in use by a route, an address or another root; give other Pools", join(pools))
}

func overlaps(s netip.Prefix, taken []netip.Prefix) bool {
	for _, t := range taken {
		if t.Bits() > 0 && t.Overlaps(s) { // a default route takes nothing
			return true
		}
	}
	return false
}

// offset is a+n, wrapping around at the end of all addresses.
func offset(a netip.Addr, n uint32) netip.Addr {
	b := a.As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+n)
	return netip.AddrFrom4(b)
}

func distance(from, to netip.Addr) uint32 {
	f, t := from.As4(), to.As4()
	return binary.BigEndian.Uint32(t[:]) - binary.BigEndian.Uint32(f[:])
}

// size counts the addresses of s.
func size(s netip.Prefix) uint32 { return 1 << (32 - s.Bits()) }

// gateway is the bridge's own address: the first that a host may have.
func gateway(s netip.Prefix) netip.Addr { return offset(s.Addr(), 1) }

// candidates yields the addresses that a pod may get, once each, beginning
// after last, so that an address rests as long as possible before it is used
// again.
func candidates(s netip.Prefix, last netip.Addr) func(yield func(netip.Addr) bool) {
	first, n := uint32(2), size(s)-3 // not the network's, the gateway's, the broadcast address
	start := uint32(0)
	if last.IsValid() && last.Is4() && s.Contains(last) {
		if d := distance(s.Addr(), last); d >= first {
			start = d - first + 1
		}
	}
	return func(yield func(netip.Addr) bool) {
		for i := range n {
			if !yield(offset(s.Addr(), first+(start+i)%n)) {
				return
			}
		}
	}
}

// exhausted is the error of host-local, word for word: programs look for it.
func exhausted(s netip.Prefix) error {
	return fmt.Errorf("no IP addresses available in range set: %s-%s", gateway(s), offset(s.Addr(), size(s)-2))
}

// hardware derives a pod's MAC from its address, so that whoever still has it
// in a neighbour table from an earlier pod reaches the new one.
func hardware(a netip.Addr) []byte {
	b := a.As4()
	return append([]byte{0x0a, 0x58}, b[:]...)
}

func join(ps []netip.Prefix) string {
	var s []string
	for _, p := range ps {
		s = append(s, p.String())
	}
	return strings.Join(s, ", ")
}
