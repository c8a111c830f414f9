package dns

import "strings"

// Alias is one of a pod's hostAliases.
type Alias struct {
	IP        string
	Hostnames []string
}

// Hosts is the content of a pod's /etc/hosts: the fixed lines, one line for each
// of the pod's addresses, and its aliases.
func Hosts(ips []string, hostname, domain string, aliases []Alias) []byte {
	var b strings.Builder
	b.WriteString("# Kubernetes-managed hosts file.\n" +
		"127.0.0.1\tlocalhost\n" +
		"::1\tlocalhost ip6-localhost ip6-loopback\n" +
		"fe00::0\tip6-localnet\n" +
		"fe00::0\tip6-mcastprefix\n" +
		"fe00::1\tip6-allnodes\n" +
		"fe00::2\tip6-allrouters\n")
	for _, ip := range ips {
		b.WriteString(ip + "\t")
		if domain != "" {
			b.WriteString(hostname + "." + domain + "\t")
		}
		b.WriteString(hostname + "\n")
	}
	addAliases(&b, aliases)
	return []byte(b.String())
}

// NodeHosts is the content of /etc/hosts for a pod on the host's network: the
// node's own file, then the pod's aliases.
func NodeHosts(node []byte, aliases []Alias) []byte {
	var b strings.Builder
	b.WriteString("# Kubernetes-managed hosts file (host network).\n")
	b.Write(node)
	addAliases(&b, aliases)
	return []byte(b.String())
}

func addAliases(b *strings.Builder, aliases []Alias) {
	if len(aliases) == 0 {
		return
	}
	b.WriteString("\n# Entries added by HostAliases.\n")
	for _, a := range aliases {
		b.WriteString(a.IP + "\t" + strings.Join(a.Hostnames, "\t") + "\n")
	}
}
