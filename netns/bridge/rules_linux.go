package bridge

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Registers of four bytes; 1 begins where word0 does.
const (
	word0 = unix.NFT_REG32_00
	word1 = unix.NFT_REG32_01
	word2 = unix.NFT_REG32_02
)

func (n *nat) chains(c *nftables.Conn, t *nftables.Table, subnet netip.Prefix, anyAddr, oneAddr *nftables.Set) {
	base := func(name string, kind nftables.ChainType, hook nftables.ChainHook, prio nftables.ChainPriority) *nftables.Chain {
		return c.AddChain(&nftables.Chain{Table: t, Name: name, Type: kind, Hooknum: &hook, Priority: &prio})
	}
	rule := func(ch *nftables.Chain, parts ...[]expr.Any) {
		r := &nftables.Rule{Table: t, Chain: ch}
		for _, p := range parts {
			r.Exprs = append(r.Exprs, p...)
		}
		c.AddRule(r)
	}
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	multicast := netip.MustParsePrefix("224.0.0.0/4")

	// The bridge routes 127.0.0.0/8 (see route_localnet), which must not open
	// the host's loopback to pods.
	raw := base("raw", nftables.ChainTypeFilter, *nftables.ChainHookPrerouting, earliest)
	rule(raw, device(expr.MetaKeyIIFNAME, n.bridge, expr.CmpOpEq), addr(to, loopback, expr.CmpOpEq), verdict(expr.VerdictDrop, ""))

	ports := c.AddChain(&nftables.Chain{Table: t, Name: "ports"})
	rule(ports, forward(oneAddr, true))
	rule(ports, forward(anyAddr, false))
	pre := base("prerouting", nftables.ChainTypeNAT, *nftables.ChainHookPrerouting, dstNAT)
	rule(pre, local(), verdict(expr.VerdictJump, "ports"))
	out := base("output", nftables.ChainTypeNAT, *nftables.ChainHookOutput, dstNAT)
	rule(out, local(), verdict(expr.VerdictJump, "ports"))

	post := base("postrouting", nftables.ChainTypeNAT, *nftables.ChainHookPostrouting, srcNAT)
	rule(post, addr(from, subnet, expr.CmpOpEq), addr(to, multicast, expr.CmpOpEq), verdict(expr.VerdictReturn, ""))
	rule(post, addr(from, subnet, expr.CmpOpEq), device(expr.MetaKeyOIFNAME, n.bridge, expr.CmpOpNeq), masquerade())
	// A pod that came through a host port must not be answered past the host.
	rule(post, addr(from, subnet, expr.CmpOpEq), device(expr.MetaKeyOIFNAME, n.bridge, expr.CmpOpEq), redirected(), masquerade())
	rule(post, addr(from, loopback, expr.CmpOpEq), device(expr.MetaKeyOIFNAME, n.bridge, expr.CmpOpEq), masquerade())
}

const from, to = 12, 16 // offsets of the addresses in an IPv4 header

func addr(at uint32, p netip.Prefix, op expr.CmpOp) []expr.Any {
	mask := binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-p.Bits()))
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: at, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: 1, Data: p.Masked().Addr().AsSlice()},
	}
}

func device(key expr.MetaKey, name string, op expr.CmpOp) []expr.Any {
	data := make([]byte, unix.IFNAMSIZ)
	copy(data, name)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: data}}
}

// local matches packets to an address of the host.
func local() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
}

// redirected matches connections whose destination was changed.
func redirected() []expr.Any {
	const ipsDstNAT = 1 << 5
	mask := binaryutil.NativeEndian.PutUint32(ipsDstNAT)
	return []expr.Any{
		&expr.Ct{Register: 1, Key: expr.CtKeySTATUS},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

func masquerade() []expr.Any { return []expr.Any{&expr.Masq{}} }

func verdict(k expr.VerdictKind, chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: k, Chain: chain}}
}

// forward looks [address,] protocol and port up in m and goes where it says.
func forward(m *nftables.Set, withAddr bool) []expr.Any {
	var es []expr.Any
	proto, port := uint32(word0), uint32(word1)
	if withAddr {
		es = append(es, &expr.Payload{DestRegister: word0, Base: expr.PayloadBaseNetworkHeader, Offset: to, Len: 4})
		proto, port = word1, word2
	}
	return append(es,
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: proto},
		&expr.Payload{DestRegister: port, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Lookup{SourceRegister: word0, DestRegister: word0, IsDestRegSet: true, SetName: m.Name, SetID: m.ID},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: word0, RegProtoMin: word1, Specified: true})
}
