// Package dns computes a pod's resolver configuration, names and hosts file as
// the kubelet of Kubernetes 1.37 does, from plain values: no I/O, no clock.
//
// [Pod] merges what the node has with what the pod asks for and cuts it to the
// limits of resolvers; [Parse] and [Config.Format] read and write resolv.conf;
// [Names] and [KernelName] give hostname and domain; [Hosts] and [NodeHosts]
// the content of /etc/hosts. Messages and reasons are Kubernetes' own, word for
// word.
//
// One thing differs: where the kubelet writes options in the random order of a
// map, they keep the order in which they first came.
package dns

// Config is a resolver configuration, with the fields of resolv.conf. It
// converts to and from netns.DNS.
type Config struct{ Servers, Searches, Options []string }

// Event is what the kubelet would record. OnNode tells one that concerns the
// node from one that concerns the pod.
type Event struct {
	Reason, Message string
	OnNode          bool
}

// Reasons of events.
const (
	ReasonForming           = "DNSConfigForming"
	ReasonMissingClusterDNS = "MissingClusterDNS"
	ReasonCheckLimits       = "CheckLimitsForResolvConf"
)

// Limits of a resolver configuration.
const (
	MaxServers     = 3
	MaxSearches    = 32
	MaxSearchChars = 2048 // of the search list, spaces included
	MaxSearchEntry = 253
	MaxFile        = 10 << 20 // a resolv.conf of this size or more is refused
)
