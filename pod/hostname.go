package pod

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// The kernel's limits: 63 bytes for a host name, 64 for a node name.
const (
	hostnameMax = 63
	nodenameMax = 64
)

// Hostname returns the pod's host name (cut to 63 bytes) and its domain, which
// is "" without a subdomain. hostnameOverride excludes a domain.
func Hostname(p *corev1.Pod, clusterDomain string) (host, domain string, err error) {
	if o := p.Spec.HostnameOverride; o != nil {
		if msgs := validation.IsDNS1123Subdomain(*o); len(msgs) != 0 {
			return "", "", fmt.Errorf("pod HostnameOverride %q is not a valid DNS subdomain: %s", *o, strings.Join(msgs, ";"))
		}
		host, err = truncate(p.Name, *o)
		return host, "", err
	}
	host = p.Name
	if p.Spec.Hostname != "" {
		if host = p.Spec.Hostname; len(validation.IsDNS1123Label(host)) != 0 {
			return "", "", notLabel("Hostname", host)
		}
	}
	if host, err = truncate(p.Name, host); err != nil {
		return "", "", err
	}
	if sub := p.Spec.Subdomain; sub != "" {
		if len(validation.IsDNS1123Label(sub)) != 0 {
			return "", "", notLabel("Subdomain", sub)
		}
		domain = fmt.Sprintf("%s.%s.svc.%s", sub, p.Namespace, clusterDomain)
	}
	return host, domain, nil
}

func notLabel(field, value string) error {
	return fmt.Errorf("pod %s %q is not a valid DNS label: %s", field, value, strings.Join(validation.IsDNS1123Label(value), ";"))
}

func truncate(podName, host string) (string, error) {
	if len(host) <= hostnameMax {
		return host, nil
	}
	if short := strings.TrimRight(host[:hostnameMax], "-."); short != "" {
		return short, nil
	}
	return "", fmt.Errorf("hostname for pod %q was invalid: %q", podName, host)
}

// Nodename returns what uname -n says in the pod: the host name, or with
// setHostnameAsFQDN the name with its domain, which then must fit the kernel's
// 64 bytes.
func Nodename(p *corev1.Pod, host, domain string) (string, error) {
	if domain == "" || p.Spec.SetHostnameAsFQDN == nil || !*p.Spec.SetHostnameAsFQDN {
		return host, nil
	}
	fqdn := host + "." + domain
	if len(fqdn) > nodenameMax {
		return "", fmt.Errorf("failed to construct FQDN from pod hostname and cluster domain, FQDN %s is too long (%d characters is the max, %d characters requested)", fqdn, nodenameMax, len(fqdn))
	}
	return fqdn, nil
}
