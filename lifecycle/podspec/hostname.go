package podspec

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	hostnameMax = 63 // the kernel's 64 with its ending NUL
	fqdnMax     = 64
)

// Hostname gives a pod's short host name and its domain below clusterDomain;
// the domain is empty for a pod without a subdomain.
func Hostname(pod *corev1.Pod, clusterDomain string) (name, domain string, err error) {
	if o := pod.Spec.HostnameOverride; o != nil {
		if msgs := validation.IsDNS1123Subdomain(*o); len(msgs) != 0 {
			return "", "", fmt.Errorf("pod HostnameOverride %q is not a valid DNS subdomain: %s", *o, strings.Join(msgs, ";"))
		}
		name, err = cutHostname(pod.Name, *o)
		return name, "", err
	}
	name = pod.Name
	if h := pod.Spec.Hostname; h != "" {
		if msgs := validation.IsDNS1123Label(h); len(msgs) != 0 {
			return "", "", fmt.Errorf("pod Hostname %q is not a valid DNS label: %s", h, strings.Join(msgs, ";"))
		}
		name = h
	}
	if name, err = cutHostname(pod.Name, name); err != nil {
		return "", "", err
	}
	if s := pod.Spec.Subdomain; s != "" {
		if msgs := validation.IsDNS1123Label(s); len(msgs) != 0 {
			return "", "", fmt.Errorf("pod Subdomain %q is not a valid DNS label: %s", s, strings.Join(msgs, ";"))
		}
		domain = fmt.Sprintf("%s.%s.svc.%s", s, pod.Namespace, clusterDomain)
	}
	return name, domain, nil
}

func cutHostname(pod, name string) (string, error) {
	if len(name) <= hostnameMax {
		return name, nil
	}
	cut := strings.TrimRight(name[:hostnameMax], "-.")
	if cut == "" {
		return "", fmt.Errorf("hostname for pod %q was invalid: %q", pod, name)
	}
	return cut, nil
}

// kernelHostname is what the UTS namespace gets: the short name, or the full
// one when the pod asks for it.
func kernelHostname(pod *corev1.Pod, name, domain string) (string, error) {
	if domain == "" || pod.Spec.SetHostnameAsFQDN == nil || !*pod.Spec.SetHostnameAsFQDN {
		return name, nil
	}
	fqdn := name + "." + domain
	if len(fqdn) > fqdnMax {
		return "", fmt.Errorf("failed to construct FQDN from pod hostname and cluster domain, FQDN %s is too long (%d characters is the max, %d characters requested)", fqdn, fqdnMax, len(fqdn))
	}
	return fqdn, nil
}

// HostsFile is the content of the pod's /etc/hosts. A pod on the host's network
// gets the node's own file, whose content is nodeFile, with its aliases added.
func HostsFile(pod *corev1.Pod, podIPs []string, clusterDomain string, nodeFile []byte) ([]byte, error) {
	var b strings.Builder
	if pod.Spec.HostNetwork {
		b.WriteString("# Kubernetes-managed hosts file (host network).\n")
		b.Write(nodeFile)
		writeAliases(&b, pod.Spec.HostAliases)
		return []byte(b.String()), nil
	}
	name, domain, err := Hostname(pod, clusterDomain)
	if err != nil {
		return nil, configError(err)
	}
	b.WriteString("# Kubernetes-managed hosts file.\n" +
		"127.0.0.1\tlocalhost\n" +
		"::1\tlocalhost ip6-localhost ip6-loopback\n" +
		"fe00::0\tip6-localnet\n" +
		"fe00::0\tip6-mcastprefix\n" +
		"fe00::1\tip6-allnodes\n" +
		"fe00::2\tip6-allrouters\n")
	for _, ip := range podIPs {
		if domain != "" {
			fmt.Fprintf(&b, "%s\t%s.%s\t%s\n", ip, name, domain, name)
		} else {
			fmt.Fprintf(&b, "%s\t%s\n", ip, name)
		}
	}
	writeAliases(&b, pod.Spec.HostAliases)
	return []byte(b.String()), nil
}

func writeAliases(b *strings.Builder, aliases []corev1.HostAlias) {
	if len(aliases) == 0 {
		return
	}
	b.WriteString("\n# Entries added by HostAliases.\n")
	for _, a := range aliases {
		fmt.Fprintf(b, "%s\t%s\n", a.IP, strings.Join(a.Hostnames, "\t"))
	}
}
