package cri

import (
	"fmt"
	"net/netip"
	"path"
	"path/filepath"
	"strings"

	"github.com/lifepod/lifepod/netns"
	"google.golang.org/grpc/codes"
	"k8s.io/apimachinery/pkg/api/resource"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// checkSandbox refuses what cannot be honoured, before anything is made.
func (r *Runtime) checkSandbox(c *runtimeapi.PodSandboxConfig, handler string) error {
	m := c.GetMetadata()
	if m == nil {
		return errorf(codes.InvalidArgument, "sandbox config must include metadata")
	}
	if m.GetName() == "" || m.GetNamespace() == "" || m.GetUid() == "" {
		return fieldError("metadata", "name, namespace and uid must be set")
	}
	if err := refuse(c, sandboxRules()); err != nil {
		return err
	}
	if _, err := r.runtime(handler); err != nil {
		return err
	}
	const sc = "linux.security_context."
	o := c.GetLinux().GetSecurityContext().GetNamespaceOptions()
	if err := onlyPodOrNode(sc+"namespace_options.network", o.GetNetwork()); err != nil {
		return err
	}
	if err := onlyPodOrNode(sc+"namespace_options.ipc", o.GetIpc()); err != nil {
		return err
	}
	if err := noUserNamespace(sc, o); err != nil {
		return err
	}
	if len(c.GetHostname()) > 64 {
		return fieldError("hostname", fmt.Sprintf("%q has more than 64 characters", c.GetHostname()))
	}
	if d := c.GetLogDirectory(); d != "" && !filepath.IsAbs(d) {
		return fieldError("log_directory", fmt.Sprintf("%q is no absolute path", d))
	}
	if err := r.checkCgroup(c.GetLinux().GetCgroupParent()); err != nil {
		return err
	}
	if err := checkDNS(c.GetDnsConfig()); err != nil {
		return err
	}
	if err := checkSysctls(c); err != nil {
		return err
	}
	_, err := attachment(&sandbox{Config: c}, "")
	return err
}

func onlyPodOrNode(field string, m runtimeapi.NamespaceMode) error {
	if m == runtimeapi.NamespaceMode_POD || m == runtimeapi.NamespaceMode_NODE {
		return nil
	}
	return fieldError(field, fmt.Sprintf("the mode must be POD or NODE, not %s", m))
}

func noUserNamespace(prefix string, o *runtimeapi.NamespaceOption) error {
	if u := o.GetUsernsOptions(); u != nil && u.GetMode() != runtimeapi.NamespaceMode_NODE {
		return fieldError(prefix+"namespace_options.userns_options", noUserns)
	}
	return nil
}

func (r *Runtime) checkCgroup(parent string) error {
	const field = "linux.cgroup_parent"
	switch {
	case parent == "" && r.o.Cgroups == nil:
		return fieldError(field, "must be set: this runtime was made without Cgroups and cannot make a parent")
	case parent == "":
		return nil
	case strings.HasSuffix(parent, ".slice"):
		return fieldError(field, fmt.Sprintf("%q is a systemd slice; the cgroup driver is cgroupfs", parent))
	case !path.IsAbs(parent) || path.Clean(parent) != parent || parent == "/":
		return fieldError(field, fmt.Sprintf("%q is no clean absolute cgroup path", parent))
	}
	return nil
}

// checkDNS keeps the lines of resolv.conf what they look like.
func checkDNS(d *runtimeapi.DNSConfig) error {
	for field, words := range map[string][]string{"servers": d.GetServers(), "searches": d.GetSearches(), "options": d.GetOptions()} {
		for _, w := range words {
			if w == "" || strings.ContainsAny(w, " \t\r\n\x00") {
				return fieldError("dns_config."+field, fmt.Sprintf("%q is not one word", w))
			}
		}
	}
	return nil
}

// checkSysctls names the field; package netns says which names belong to which
// namespace.
func checkSysctls(c *runtimeapi.PodSandboxConfig) error {
	o := c.GetLinux().GetSecurityContext().GetNamespaceOptions()
	for k := range c.GetLinux().GetSysctls() {
		field := fmt.Sprintf("linux.sysctls[%q]", k)
		net := strings.HasPrefix(dotted(k), "net.")
		if net && o.GetNetwork() == runtimeapi.NamespaceMode_NODE {
			return fieldError(field, "the pod uses the node's network")
		}
		if !net && o.GetIpc() == runtimeapi.NamespaceMode_NODE {
			return fieldError(field, "the pod uses the node's IPC namespace")
		}
	}
	return nil
}

// dotted is a sysctl's name with dots, where it was written with slashes.
func dotted(name string) string {
	i := strings.IndexAny(name, "./")
	if i < 0 || name[i] == '.' {
		return name
	}
	return strings.NewReplacer("/", ".", ".", "/").Replace(name)
}

// attachment is what the network is told, the same at Setup and at Teardown.
func attachment(s *sandbox, path string) (netns.Attachment, error) {
	c, m := s.Config, s.Config.GetMetadata()
	d := c.GetDnsConfig()
	a := netns.Attachment{
		ID: s.ID, Path: path, IfName: "eth0",
		Pod:        netns.PodRef{Namespace: m.GetNamespace(), Name: m.GetName(), UID: m.GetUid()},
		CgroupPath: s.Cgroup, Annotations: c.GetAnnotations(),
		DNS: netns.DNS{Servers: d.GetServers(), Searches: d.GetSearches(), Options: d.GetOptions()},
	}
	for i, p := range c.GetPortMappings() {
		m, err := port(p, fmt.Sprintf("port_mappings[%d].", i))
		if err != nil {
			return a, err
		}
		if p.GetHostPort() != 0 { // a port that is only documented
			a.Ports = append(a.Ports, m)
		}
	}
	var err error
	a.Bandwidth, err = bandwidth(c.GetAnnotations())
	return a, err
}

func port(p *runtimeapi.PortMapping, field string) (netns.PortMapping, error) {
	m := netns.PortMapping{HostPort: uint16(p.GetHostPort()), ContainerPort: uint16(p.GetContainerPort())}
	if p.GetHostPort() < 0 || p.GetHostPort() > 65535 || p.GetContainerPort() < 0 || p.GetContainerPort() > 65535 ||
		p.GetHostPort() != 0 && p.GetContainerPort() == 0 {
		return m, fieldError(field+"host_port", fmt.Sprintf("%d to %d: ports are 1 to 65535", p.GetHostPort(), p.GetContainerPort()))
	}
	if m.Protocol = strings.ToLower(p.GetProtocol().String()); runtimeapi.Protocol_name[int32(p.GetProtocol())] == "" {
		return m, fieldError(field+"protocol", fmt.Sprintf("the protocol %d is unknown", p.GetProtocol()))
	}
	if p.GetHostIp() == "" {
		return m, nil
	}
	ip, err := netip.ParseAddr(p.GetHostIp())
	if err != nil {
		return m, fieldError(field+"host_ip", err.Error())
	}
	m.HostIP = ip
	return m, nil
}

// bandwidth reads Kubernetes' shaping annotations, within its bounds.
func bandwidth(annotations map[string]string) (*netns.Bandwidth, error) {
	b := &netns.Bandwidth{}
	for name, to := range map[string]*uint64{"kubernetes.io/ingress-bandwidth": &b.Ingress, "kubernetes.io/egress-bandwidth": &b.Egress} {
		text, ok := annotations[name]
		if !ok {
			continue
		}
		q, err := resource.ParseQuantity(text)
		switch {
		case err != nil:
			return nil, fieldError(fmt.Sprintf("annotations[%q]", name), err.Error())
		case q.Value() < 1000:
			return nil, fieldError(fmt.Sprintf("annotations[%q]", name), "resource is unreasonably small (< 1kbit)")
		case q.Value() > 1e15:
			return nil, fieldError(fmt.Sprintf("annotations[%q]", name), "resource is unreasonably large (> 1Pbit)")
		}
		*to = uint64(q.Value())
	}
	if *b == (netns.Bandwidth{}) {
		return nil, nil
	}
	return b, nil
}
