package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Policy is a pod's dnsPolicy. One that is none of these is taken for
// ClusterFirst without regard to the host's network, as by the kubelet.
type Policy string

// The policies.
const (
	ClusterFirst            Policy = "ClusterFirst"
	ClusterFirstWithHostNet Policy = "ClusterFirstWithHostNet"
	Default                 Policy = "Default"
	None                    Policy = "None"
)

// Node is what a node's DNS settings are.
type Node struct {
	// ClusterDNS are the servers of the cluster; none means that policies of the
	// cluster fall back to Default.
	ClusterDNS []netip.Addr
	// ClusterDomain is such as cluster.local; empty adds no search domains.
	ClusterDomain string
	// Host is what the node's resolv.conf says.
	Host Config
	// NoResolvConf means that the node was told to use no resolv.conf (the
	// kubelet's --resolv-conf=""): pods get the local host as their server.
	NoResolvConf bool
	// IPs are the node's own addresses: their families matter with NoResolvConf.
	IPs []netip.Addr
}

// PodSpec is what matters of a pod.
type PodSpec struct {
	Namespace, Name, UID string
	Policy               Policy
	HostNetwork          bool
	// Config is the pod's dnsConfig; nil for none.
	Config *PodConfig
}

// PodConfig is a pod's dnsConfig.
type PodConfig struct {
	Nameservers, Searches []string
	Options               []Option
}

// Option is one of dnsConfig's options; a nil Value is written as the bare name.
type Option struct {
	Name  string
	Value *string
}

// Pod computes the pod's resolver configuration, and the events that tell what
// was left out or missing. It changes none of its arguments.
func Pod(n Node, p PodSpec) (Config, []Event) {
	c, events := base(n, p)
	if p.Config != nil {
		c = Config{
			Servers:  distinct(slices.Concat(c.Servers, p.Config.Nameservers)),
			Searches: distinct(slices.Concat(c.Searches, p.Config.Searches)),
			Options:  override(c.Options, p.Config.Options),
		}
	}
	c, more := limit(c)
	return c, append(events, more...)
}

// base is the configuration before the pod's own dnsConfig.
func base(n Node, p PodSpec) (Config, []Event) {
	host := Config{}
	if !n.NoResolvConf {
		host = n.Host
	}
	switch {
	case p.Policy == None:
		return Config{}, nil
	case p.Policy == Default || p.Policy == ClusterFirst && p.HostNetwork:
		return local(n, host), nil
	case len(n.ClusterDNS) > 0:
		c := Config{Searches: clusterSearches(n, p, host), Options: []string{"ndots:5"}}
		for _, a := range n.ClusterDNS {
			c.Servers = append(c.Servers, a.Unmap().String())
		}
		return c, nil
	}
	text := fmt.Sprintf("kubelet does not have ClusterDNS IP configured and cannot create Pod using %q policy. Falling back to %q policy.", ClusterFirst, Default)
	return local(n, host), []Event{
		{ReasonMissingClusterDNS, text, true},
		{ReasonMissingClusterDNS, fmt.Sprintf("pod: %q. %s", fmt.Sprintf("%s_%s(%s)", p.Name, p.Namespace, p.UID), text), false},
	}
}

// local is the node's own configuration, or with none the local host as server.
func local(n Node, host Config) Config {
	if !n.NoResolvConf {
		return host
	}
	c := Config{Searches: []string{"."}}
	for _, ip := range n.IPs {
		if ip.Unmap().Is6() {
			c.Servers = append(c.Servers, "::1")
		} else {
			c.Servers = append(c.Servers, "127.0.0.1")
		}
	}
	if len(c.Servers) == 0 {
		c.Servers = []string{"127.0.0.1"}
	}
	return c
}

func clusterSearches(n Node, p PodSpec, host Config) []string {
	if n.ClusterDomain == "" {
		return host.Searches
	}
	d := n.ClusterDomain
	return distinct(append([]string{p.Namespace + ".svc." + d, "svc." + d, d}, host.Searches...))
}

func distinct(in []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range in {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// override sets dnsConfig's options over those that are there.
func override(have []string, more []Option) []string {
	var names []string
	values := map[string]string{}
	set := func(name, value string) {
		if _, ok := values[name]; !ok {
			names = append(names, name)
		}
		values[name] = value
	}
	for _, o := range have {
		name, value, _ := strings.Cut(o, ":")
		set(name, value)
	}
	for _, o := range more {
		value := ""
		if o.Value != nil {
			value = *o.Value
		}
		set(o.Name, value)
	}
	var out []string
	for _, n := range names {
		if v := values[n]; v != "" {
			n += ":" + v
		}
		out = append(out, n)
	}
	return out
}
