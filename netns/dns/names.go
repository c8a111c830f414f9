package dns

import (
	"fmt"
	"regexp"
	"strings"
)

// NameSpec is what a pod's names are made from.
type NameSpec struct {
	Namespace, Name string
	// Hostname and Subdomain are spec.hostname and spec.subdomain.
	Hostname, Subdomain string
	// Override is spec.hostnameOverride; nil for none.
	Override *string
	// ClusterDomain is the node's.
	ClusterDomain string
}

const maxHostname, maxKernelName = 63, 64

// Names returns the pod's hostname, at most 63 characters, and its domain, which
// is empty without a subdomain.
func Names(p NameSpec) (hostname, domain string, err error) {
	if p.Override != nil {
		if msgs := subdomainErrors(*p.Override); len(msgs) > 0 {
			return "", "", fmt.Errorf("pod HostnameOverride %q is not a valid DNS subdomain: %s", *p.Override, strings.Join(msgs, ";"))
		}
		hostname, err = truncate(p.Name, *p.Override)
		return hostname, "", err
	}
	hostname = p.Name
	if p.Hostname != "" {
		if msgs := labelErrors(p.Hostname); len(msgs) > 0 {
			return "", "", fmt.Errorf("pod Hostname %q is not a valid DNS label: %s", p.Hostname, strings.Join(msgs, ";"))
		}
		hostname = p.Hostname
	}
	if hostname, err = truncate(p.Name, hostname); err != nil {
		return "", "", err
	}
	if p.Subdomain != "" {
		if msgs := labelErrors(p.Subdomain); len(msgs) > 0 {
			return "", "", fmt.Errorf("pod Subdomain %q is not a valid DNS label: %s", p.Subdomain, strings.Join(msgs, ";"))
		}
		domain = fmt.Sprintf("%s.%s.svc.%s", p.Subdomain, p.Namespace, p.ClusterDomain)
	}
	return hostname, domain, nil
}

func truncate(pod, hostname string) (string, error) {
	if len(hostname) <= maxHostname {
		return hostname, nil
	}
	cut := strings.TrimRight(hostname[:maxHostname], "-.")
	if cut == "" {
		return "", fmt.Errorf("hostname for pod %q was invalid: %q", pod, hostname)
	}
	return cut, nil
}

// KernelName is the name that the pod's kernel is given: the hostname, or with
// asFQDN (spec.setHostnameAsFQDN) and a domain the whole name, which must then
// fit the kernel's 64 characters.
func KernelName(hostname, domain string, asFQDN bool) (string, error) {
	if domain == "" || !asFQDN {
		return hostname, nil
	}
	fqdn := hostname + "." + domain
	if len(fqdn) > maxKernelName {
		return "", fmt.Errorf("failed to construct FQDN from pod hostname and cluster domain, FQDN %s is too long (%d characters is the max, %d characters requested)", fqdn, maxKernelName, len(fqdn))
	}
	return fqdn, nil
}

const (
	labelPattern     = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
	subdomainPattern = labelPattern + `(\.` + labelPattern + ")*"
)

var (
	label     = regexp.MustCompile("^" + labelPattern + "$")
	subdomain = regexp.MustCompile("^" + subdomainPattern + "$")
)

// labelErrors and subdomainErrors say what is wrong in the words of the API.
func labelErrors(s string) []string {
	var msgs []string
	if len(s) > 63 {
		msgs = append(msgs, "must be no more than 63 characters")
	}
	switch {
	case label.MatchString(s):
	case subdomain.MatchString(s):
		msgs = append(msgs, "must not contain dots")
	default:
		msgs = append(msgs, "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '"+labelPattern+"')")
	}
	return msgs
}

func subdomainErrors(s string) []string {
	var msgs []string
	if len(s) > 253 {
		msgs = append(msgs, "must be no more than 253 characters")
	}
	if !subdomain.MatchString(s) {
		msgs = append(msgs, "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '"+subdomainPattern+"')")
	}
	return msgs
}
