package dns_test

import (
	"fmt"
	"net/netip"

	"github.com/lifepod/lifepod/netns/dns"
)

func ExamplePod() {
	node := dns.Node{
		ClusterDNS:    []netip.Addr{netip.MustParseAddr("10.96.0.10")},
		ClusterDomain: "cluster.local",
		Host:          dns.Config{Servers: []string{"8.8.8.8"}, Searches: []string{"corp.example"}},
	}
	c, _ := dns.Pod(node, dns.PodSpec{Namespace: "default", Name: "web", Policy: dns.ClusterFirst})
	fmt.Print(c.Format())
	// Output:
	// search default.svc.cluster.local svc.cluster.local cluster.local corp.example
	// nameserver 10.96.0.10
	// options ndots:5
}
