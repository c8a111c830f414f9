package bridge

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/netns"
)

func prefixes(s string) (ps []netip.Prefix) {
	for f := range strings.FieldsSeq(s) {
		ps = append(ps, netip.MustParsePrefix(f))
	}
	return ps
}

func TestChooseSubnet(t *testing.T) {
	for name, c := range map[string]struct{ pools, taken, want string }{
		"the first":                {"10.0.0.0/16 10.1.0.0/16", "", "10.0.0.0/24"},
		"the first that is free":   {"10.0.0.0/16", "10.0.0.0/24 10.0.1.128/25", "10.0.2.0/24"},
		"one address takes it":     {"10.0.0.0/16", "10.0.0.77/32", "10.0.1.0/24"},
		"a wide route takes many":  {"10.0.0.0/16", "10.0.0.0/17", "10.0.128.0/24"},
		"a default route none":     {"10.0.0.0/16", "0.0.0.0/0", "10.0.0.0/24"},
		"the next pool":            {"10.0.0.0/16 10.9.0.0/24", "10.0.0.0/16", "10.9.0.0/24"},
		"a small pool as a whole":  {"10.0.0.8/29", "", "10.0.0.8/29"},
		"host bits do not matter":  {"10.0.7.9/16", "10.0.0.0/24", "10.0.1.0/24"},
		"the end of all addresses": {"255.255.0.0/16", "255.255.0.0/16", ""},
		"nothing is free":          {"10.0.0.0/23", "10.0.0.0/24 10.0.1.1/32", ""},
	} {
		got, err := chooseSubnet(prefixes(c.pools), prefixes(c.taken))
		if c.want == "" {
			if err == nil || !strings.Contains(err.Error(), "no free address range") {
				t.Errorf("%s: got %s, %v", name, got, err)
			}
			continue
		}
		if err != nil || got.String() != c.want {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, c.want)
		}
	}
}

func TestCandidatesAreAllThatPodsMayHaveOnce(t *testing.T) {
	s := netip.MustParsePrefix("10.0.0.8/29")
	for last, first := range map[string]string{"": "10.0.0.10", "10.0.0.10": "10.0.0.11", "10.0.0.14": "10.0.0.10", "10.0.0.9": "10.0.0.10", "192.0.2.1": "10.0.0.10"} {
		var a netip.Addr
		if last != "" {
			a = netip.MustParseAddr(last)
		}
		seen := map[netip.Addr]bool{}
		n := 0
		for ip := range candidates(s, a) {
			if n == 0 && ip.String() != first {
				t.Errorf("after %q comes %s, want %s", last, ip, first)
			}
			seen[ip] = true
			n++
		}
		if n != 5 || len(seen) != 5 || seen[netip.MustParseAddr("10.0.0.8")] || seen[netip.MustParseAddr("10.0.0.9")] || seen[netip.MustParseAddr("10.0.0.15")] {
			t.Errorf("after %q: %d, %v", last, n, seen)
		}
	}
	n := 0
	for range candidates(netip.MustParsePrefix("10.0.0.0/24"), netip.Addr{}) {
		n++
	}
	if n != 253 {
		t.Errorf("a /24 has room for %d pods, want 253", n)
	}
	if got := exhausted(s).Error(); got != "no IP addresses available in range set: 10.0.0.9-10.0.0.14" {
		t.Error(got)
	}
}

func TestOptions(t *testing.T) {
	good := Options{ID: "0123abcd", Dir: "/run/x"}
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"id":         {func(o *Options) { o.ID = "0123ABCD" }, "eight digits"},
		"dir":        {func(o *Options) { o.Dir = "x" }, "absolute"},
		"v6 pool":    {func(o *Options) { o.Pools = prefixes("fd00::/64") }, "IPv4 range"},
		"tiny pool":  {func(o *Options) { o.Pools = prefixes("10.0.0.0/30") }, "at least eight"},
		"tiny mtu":   {func(o *Options) { o.MTU = 68 }, "between 576"},
		"good":       {func(*Options) {}, ""},
		"zero pools": {func(o *Options) { o.Pools = nil }, ""},
	} {
		o := good
		c.change(&o)
		o, err := o.withDefaults()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err == nil && (len(o.Pools) == 0 || o.Shared == "" || len(o.bridgeName()) > 15) {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

func TestAttachmentsThatCannotBeHonouredAreRefused(t *testing.T) {
	port := func(p netns.PortMapping) func(*netns.Attachment) {
		return func(a *netns.Attachment) { a.Ports = []netns.PortMapping{p} }
	}
	for name, c := range map[string]struct {
		change func(*netns.Attachment)
		want   string
	}{
		"good":                 {func(*netns.Attachment) {}, ""},
		"no host port":         {port(netns.PortMapping{Protocol: "none"}), ""},
		"mapped address":       {port(netns.PortMapping{Protocol: "tcp", HostIP: netip.MustParseAddr("::ffff:1.2.3.4"), HostPort: 1, ContainerPort: 1}), ""},
		"id that climbs":       {func(a *netns.Attachment) { a.ID = "../x" }, "attachment id"},
		"no id":                {func(a *netns.Attachment) { a.ID = "" }, "attachment id"},
		"lo":                   {func(a *netns.Attachment) { a.IfName = "lo" }, "interface name"},
		"long interface":       {func(a *netns.Attachment) { a.IfName = "a234567890123456" }, "interface name"},
		"protocol":             {port(netns.PortMapping{Protocol: "TCP", HostPort: 1, ContainerPort: 1}), "must be tcp"},
		"container port":       {port(netns.PortMapping{Protocol: "tcp", HostPort: 1}), "container port is missing"},
		"v6 host address":      {port(netns.PortMapping{Protocol: "tcp", HostIP: netip.MustParseAddr("::1"), HostPort: 1, ContainerPort: 1}), "IPv4 only"},
		"wished addresses":     {func(a *netns.Attachment) { a.IPs = prefixes("10.0.0.2/24") }, "chooses addresses itself"},
		"everything at a time": {func(a *netns.Attachment) { a.ID, a.IfName = "", "lo" }, "attachment id \"\": use letters, digits, '.', '_' and '-', at most 128\ninterface"},
	} {
		a := netns.Attachment{ID: "p"}
		c.change(&a)
		got, err := checkAttachment(a)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err == nil && got.IfName != "eth0" {
			t.Errorf("%s: interface %q", name, got.IfName)
		}
	}
}
