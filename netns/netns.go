// Package netns pins network namespaces to files and names what joins them to
// a network.
//
// netns/bridge is a network that needs no binary on the machine; netns/cni runs
// CNI plugins. Both are a [Network] and pass the suite in netns/netnstest.
// netns/dns computes resolver configuration with Kubernetes' limits.
package netns

import (
	"context"
	"net/netip"
)

// Network joins namespaces to a network. All methods are safe for concurrent
// use with different IDs.
type Network interface {
	// Setup joins a.Path to the network. It may be called again after a failure;
	// after an error the caller must call Teardown.
	Setup(ctx context.Context, a Attachment) (Result, error)
	// Teardown undoes Setup, as far as it came. It succeeds when there is nothing
	// to undo, also when the namespace is gone.
	Teardown(ctx context.Context, a Attachment) error
	// Check says whether a is still joined as Setup left it.
	Check(ctx context.Context, a Attachment) error
	// Ready says why a Setup could not succeed now, for reasons that concern every
	// pod; nil if it could. That a pod finds no free address is told by Setup.
	Ready(ctx context.Context) error
}

// Reserver is a Network that can settle what an attachment gets before there is a
// namespace, so that both can be done side by side.
type Reserver interface {
	Network
	// Reserve takes for a what Setup, which follows with the same a, then need not
	// take: an address, say. a.Path need not be there. As after Setup, and after an
	// error of either, the caller must call Teardown.
	Reserve(ctx context.Context, a Attachment) error
}

// Attachment is one namespace's place in a network.
type Attachment struct {
	// ID is unique among live attachments (the sandbox's id).
	ID string
	// Path is the pinned namespace.
	Path string
	// IfName is the interface's name inside; empty means eth0.
	IfName string
	// Pod names the pod for logs and CNI arguments.
	Pod PodRef
	// Ports are host ports to forward to the pod.
	Ports []PortMapping
	// Bandwidth limits, nil for none.
	Bandwidth *Bandwidth
	// IPs are addresses that the pod must get; none leaves the choice to the
	// network. A network that cannot honour them fails Setup.
	IPs []netip.Prefix
	// CgroupPath, Annotations and DNS are handed to networks that ask for them.
	CgroupPath  string
	Annotations map[string]string
	DNS         DNS
}

// PodRef names a pod without importing its type.
type PodRef struct{ Namespace, Name, UID string }

// PortMapping forwards a host port. HostIP unset means all addresses. Protocol
// is "tcp", "udp" or "sctp".
type PortMapping struct {
	Protocol      string
	HostIP        netip.Addr
	HostPort      uint16
	ContainerPort uint16
}

// Bandwidth limits in bits per second; zero means no limit.
type Bandwidth struct{ Ingress, Egress uint64 }

// DNS is a resolver configuration, as in resolv.conf.
type DNS struct{ Servers, Searches, Options []string }

// Result is what a pod got.
type Result struct {
	Interface string
	// Addrs are its addresses with their prefix lengths, IPv4 first.
	Addrs    []netip.Prefix
	Gateways []netip.Addr
	DNS      DNS
}
