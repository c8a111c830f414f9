package lifecycle

import (
	"net/netip"
	"os"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/lifecycle/plan"
	"github.com/lifepod/lifepod/netns/dns"
)

// dns is the pod's resolver configuration. What was left out of it is told in
// events, once for each sandbox.
func (w *worker) dns(tell bool) (*runtimeapi.DNSConfig, error) {
	node, err := w.r.resolver()
	if err != nil {
		return nil, err
	}
	spec := dns.PodSpec{
		Namespace: w.pod().Namespace, Name: w.pod().Name, UID: string(w.pod().UID),
		Policy: dns.Policy(w.pod().Spec.DNSPolicy), HostNetwork: w.pod().Spec.HostNetwork,
	}
	if c := w.pod().Spec.DNSConfig; c != nil {
		spec.Config = &dns.PodConfig{Nameservers: c.Nameservers, Searches: c.Searches}
		for _, o := range c.Options {
			spec.Config.Options = append(spec.Config.Options, dns.Option{Name: o.Name, Value: o.Value})
		}
	}
	cfg, events := dns.Pod(node, spec)
	for _, e := range events {
		if tell && !e.OnNode {
			w.r.record(w.pod(), plan.Event{Type: corev1.EventTypeWarning, Reason: e.Reason, Message: e.Message})
		}
	}
	return &runtimeapi.DNSConfig{Servers: cfg.Servers, Searches: cfg.Searches, Options: cfg.Options}, nil
}

// resolver is the node's side of it. resolv.conf is read anew each time: it
// changes with the machine's network.
func (r *Runner) resolver() (dns.Node, error) {
	n := dns.Node{ClusterDomain: r.node.ClusterDomain}
	for _, list := range []struct {
		from []string
		to   *[]netip.Addr
	}{{r.node.ClusterDNS, &n.ClusterDNS}, {r.node.HostIPs, &n.IPs}} {
		for _, s := range list.from {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return n, err
			}
			*list.to = append(*list.to, a)
		}
	}
	f, err := os.Open(r.node.ResolvConf)
	if err != nil {
		return n, err
	}
	defer f.Close()
	n.Host, err = dns.Parse(f)
	return n, err
}
