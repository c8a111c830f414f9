package cni

import (
	"fmt"
	"math"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/lifepod/lifepod/netns"
)

// Names and shapes of what plugins are handed are containerd's, which is what
// the plugins of the field were written against.
type portMapping struct {
	HostPort      int32  `json:"hostPort"`
	ContainerPort int32  `json:"containerPort"`
	Protocol      string `json:"protocol"`
	HostIP        string `json:"hostIP"`
}

type bandwidth struct {
	IngressRate  uint64 `json:"ingressRate"`
	IngressBurst uint64 `json:"ingressBurst"`
	EgressRate   uint64 `json:"egressRate"`
	EgressBurst  uint64 `json:"egressBurst"`
}

type resolvers struct {
	Servers  []string `json:"servers"`
	Searches []string `json:"searches"`
	Options  []string `json:"options"`
}

const podAnnotations = "io.kubernetes.cri.pod-annotations"

// runtimeConf is what one call of the plugins is told of a.
func runtimeConf(a netns.Attachment) (*libcni.RuntimeConf, error) {
	rt := &libcni.RuntimeConf{ContainerID: a.ID, NetNS: a.Path, IfName: a.IfName, Args: [][2]string{
		{"IgnoreUnknown", "1"},
		{"K8S_POD_NAMESPACE", a.Pod.Namespace},
		{"K8S_POD_NAME", a.Pod.Name},
		{"K8S_POD_INFRA_CONTAINER_ID", a.ID},
		{"K8S_POD_UID", a.Pod.UID},
	}}
	for _, kv := range rt.Args { // they are joined by ';' into one variable
		if strings.ContainsAny(kv[1], ";=\x00\n") {
			return nil, fmt.Errorf("%s %q: it must not contain ';', '=' or a line break", kv[0], kv[1])
		}
	}
	caps := map[string]any{}
	if ports := mappings(a.Ports); len(ports) > 0 {
		caps["portMappings"] = ports
	}
	if b := a.Bandwidth; b != nil && (b.Ingress > 0 || b.Egress > 0) {
		caps["bandwidth"] = shape(*b)
	}
	if len(a.IPs) > 0 {
		var ips []string
		for _, p := range a.IPs {
			ips = append(ips, p.String())
		}
		caps["ips"] = ips
	}
	if d := a.DNS; len(d.Servers)+len(d.Searches)+len(d.Options) > 0 {
		caps["dns"] = resolvers(d)
	}
	if a.CgroupPath != "" {
		caps["cgroupPath"] = a.CgroupPath
	}
	if len(a.Annotations) > 0 {
		caps[podAnnotations] = a.Annotations
	}
	rt.CapabilityArgs = caps
	return rt, nil
}

func mappings(ports []netns.PortMapping) []portMapping {
	var out []portMapping
	for _, p := range ports {
		if p.HostPort == 0 {
			continue
		}
		m := portMapping{HostPort: int32(p.HostPort), ContainerPort: int32(p.ContainerPort), Protocol: strings.ToLower(p.Protocol)}
		if p.HostIP.IsValid() {
			m.HostIP = p.HostIP.String()
		}
		out = append(out, m)
	}
	return out
}

// shape limits the rates; bursts are as large as the plugin takes.
func shape(b netns.Bandwidth) bandwidth {
	var out bandwidth
	if b.Ingress > 0 {
		out.IngressRate, out.IngressBurst = b.Ingress, math.MaxUint32
	}
	if b.Egress > 0 {
		out.EgressRate, out.EgressBurst = b.Egress, math.MaxUint32
	}
	return out
}

// honoured refuses what the pod depends on and no plugin of the list would do.
func honoured(l *libcni.NetworkConfigList, rt *libcni.RuntimeConf) error {
	for _, c := range []struct{ capability, what string }{
		{"portMappings", "forwards host ports"}, {"bandwidth", "limits bandwidth"}, {"ips", "takes wished addresses"},
	} {
		if _, asked := rt.CapabilityArgs[c.capability]; asked && !capable(l, c.capability) {
			return fmt.Errorf("no plugin of the network %s %s: add one with the capability %q to it, or take the wish off the pod", l.Name, c.what, c.capability)
		}
	}
	return nil
}
