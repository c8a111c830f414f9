package podspec

import (
	"fmt"
	"net/netip"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/pod"
)

// SandboxInput is what a sandbox is made from.
type SandboxInput struct {
	Pod *corev1.Pod
	// Attempt counts the pod's sandboxes, from 0.
	Attempt uint32
	// LogRoot is the directory of all pods' logs. Empty means /var/log/pods.
	LogRoot string
	// ClusterDomain ends the full name of a pod that has a subdomain.
	ClusterDomain string
	// DNS is the resolver's configuration; nil leaves it to the runtime.
	DNS *runtimeapi.DNSConfig
	// CgroupParent is the pod's cgroup.
	CgroupParent string
	// Resources are the sums over the containers, Overhead the pod's; both are
	// hints for runtimes that size a virtual machine. Nil is left out.
	Resources, Overhead *runtimeapi.LinuxContainerResources
}

// Sandbox makes the message that starts the pod's sandbox. An error has the
// reason CreatePodSandboxError.
func Sandbox(in SandboxInput) (*runtimeapi.PodSandboxConfig, error) {
	p := in.Pod
	cfg := &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{
			Name: p.Name, Namespace: p.Namespace, Uid: string(p.UID), Attempt: in.Attempt,
		},
		Labels:       sandboxLabels(p),
		Annotations:  p.Annotations,
		DnsConfig:    in.DNS,
		LogDirectory: LogDirectory(in.LogRoot, p),
		PortMappings: portMappings(p),
	}
	if !p.Spec.HostNetwork {
		name, domain, err := pod.Hostname(p, in.ClusterDomain)
		if err == nil {
			name, err = pod.Nodename(p, name, domain)
		}
		if err != nil {
			return nil, &Error{ReasonSandboxConfig, err}
		}
		cfg.Hostname = name
	}
	security, err := sandboxSecurity(p)
	if err != nil {
		return nil, &Error{ReasonSandboxConfig, err}
	}
	cfg.Linux = &runtimeapi.LinuxPodSandboxConfig{
		CgroupParent:    in.CgroupParent,
		SecurityContext: security,
		Sysctls:         map[string]string{},
		Resources:       in.Resources,
		Overhead:        in.Overhead,
	}
	if sc := p.Spec.SecurityContext; sc != nil {
		for _, s := range sc.Sysctls {
			cfg.Linux.Sysctls[s.Name] = s.Value
		}
	}
	return cfg, nil
}

// LogDirectory is where the logs of all the pod's containers lie. An empty root
// means /var/log/pods.
func LogDirectory(root string, pod *corev1.Pod) string {
	if root == "" {
		root = "/var/log/pods"
	}
	return filepath.Join(root, fmt.Sprintf("%s_%s_%s", pod.Namespace, pod.Name, pod.UID))
}

// LogPath is the file of one instance of a container below [LogDirectory].
func LogPath(container string, attempt uint32) string {
	return filepath.Join(container, fmt.Sprintf("%d.log", attempt))
}

// portMappings are the ports of all regular containers. A port that repeats
// another's name, or all its values, within a container is left out.
func portMappings(pod *corev1.Pod) []*runtimeapi.PortMapping {
	var out []*runtimeapi.PortMapping
	for i := range pod.Spec.Containers {
		names := map[string]bool{}
		for _, p := range pod.Spec.Containers[i].Ports {
			name := p.Name
			if name == "" {
				name = fmt.Sprintf("%s-%s-%s:%d:%d", family(p.HostIP), p.Protocol, p.HostIP, p.ContainerPort, p.HostPort)
			}
			if names[name] {
				continue
			}
			names[name] = true
			out = append(out, &runtimeapi.PortMapping{
				HostIp: p.HostIP, HostPort: p.HostPort, ContainerPort: p.ContainerPort, Protocol: protocol(p.Protocol),
			})
		}
	}
	return out
}

func family(ip string) string {
	if ip == "" {
		return "any"
	}
	if a, err := netip.ParseAddr(ip); err == nil && a.Is6() {
		return "v6"
	}
	return "v4"
}

func protocol(p corev1.Protocol) runtimeapi.Protocol {
	switch p {
	case corev1.ProtocolUDP:
		return runtimeapi.Protocol_UDP
	case corev1.ProtocolSCTP:
		return runtimeapi.Protocol_SCTP
	}
	return runtimeapi.Protocol_TCP
}

func sandboxSecurity(pod *corev1.Pod) (*runtimeapi.LinuxSandboxSecurityContext, error) {
	out := &runtimeapi.LinuxSandboxSecurityContext{
		Privileged: hasPrivileged(pod),
		// The sandbox itself needs no more than this, whatever containers ask for.
		Seccomp: &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault},
	}
	sc := pod.Spec.SecurityContext
	if sc == nil {
		// Defaulting always sets one.
		sc = &corev1.PodSecurityContext{}
	}
	out.NamespaceOptions = Namespaces(pod)
	out.RunAsUser, out.RunAsGroup = int64Value(sc.RunAsUser), int64Value(sc.RunAsGroup)
	out.SelinuxOptions = selinux(sc.SELinuxOptions)
	var err error
	out.SupplementalGroups, out.SupplementalGroupsPolicy, err = groups(sc)
	return out, err
}

func hasPrivileged(p *corev1.Pod) bool {
	for c := range pod.Containers(&p.Spec, pod.All) {
		if sc := c.SecurityContext; sc != nil && deref(sc.Privileged) {
			return true
		}
	}
	return false
}
