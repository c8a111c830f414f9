package dns

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	long := strings.Repeat("a", 63)
	text := func(s string) *string { return &s }
	good := NameSpec{Namespace: "ns", Name: "web-0", ClusterDomain: "cluster.local"}
	for name, c := range map[string]struct {
		change           func(*NameSpec)
		host, domain, er string
	}{
		"the pod's name":            {func(*NameSpec) {}, "web-0", "", ""},
		"its hostname":              {func(p *NameSpec) { p.Hostname = "h" }, "h", "", ""},
		"subdomain":                 {func(p *NameSpec) { p.Subdomain = "sub" }, "web-0", "sub.ns.svc.cluster.local", ""},
		"long names are cut":        {func(p *NameSpec) { p.Name = long + "b" }, long, "", ""},
		"not behind a dash or dot":  {func(p *NameSpec) { p.Name = long[:60] + ".-.b" }, long[:60], "", ""},
		"63 fit":                    {func(p *NameSpec) { p.Name = long }, long, "", ""},
		"override has no domain":    {func(p *NameSpec) { p.Override = text("a.b"); p.Subdomain = "sub" }, "a.b", "", ""},
		"a long override is cut":    {func(p *NameSpec) { p.Override = text(long + ".c") }, long, "", ""},
		"override is checked":       {func(p *NameSpec) { p.Override = text("A") }, "", "", `pod HostnameOverride "A" is not a valid DNS subdomain: a lowercase RFC 1123 subdomain must`},
		"an empty override, too":    {func(p *NameSpec) { p.Override = text("") }, "", "", `pod HostnameOverride "" is not a valid DNS subdomain`},
		"hostname is a label":       {func(p *NameSpec) { p.Hostname = "a.b" }, "", "", `pod Hostname "a.b" is not a valid DNS label: must not contain dots`},
		"of 63 characters":          {func(p *NameSpec) { p.Hostname = long + "b" }, "", "", "must be no more than 63 characters"},
		"subdomain is a label":      {func(p *NameSpec) { p.Subdomain = "-" }, "", "", `pod Subdomain "-" is not a valid DNS label: a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`},
		"nothing is left":           {func(p *NameSpec) { p.Name = strings.Repeat("-", 64) }, "", "", `hostname for pod "` + strings.Repeat("-", 64) + `" was invalid`},
		"override over 253":         {func(p *NameSpec) { p.Override = text(strings.Repeat("a.", 130) + "b") }, "", "", "must be no more than 253 characters"},
		"empty domain, still a dot": {func(p *NameSpec) { p.Subdomain = "s"; p.ClusterDomain = "" }, "web-0", "s.ns.svc.", ""},
	} {
		p := good
		c.change(&p)
		host, domain, err := Names(p)
		if host != c.host || domain != c.domain {
			t.Errorf("%s: got %q, %q", name, host, domain)
		}
		if (err == nil) != (c.er == "") || err != nil && !strings.Contains(err.Error(), c.er) {
			t.Errorf("%s: got error %v, want %q", name, err, c.er)
		}
	}
}

func TestKernelName(t *testing.T) {
	d60 := strings.Repeat("d", 60)
	for name, c := range map[string]struct {
		host, domain string
		fqdn         bool
		want, er     string
	}{
		"plain":            {"h", "sub.ns.svc.d", false, "h", ""},
		"whole":            {"h", "sub.ns.svc.d", true, "h.sub.ns.svc.d", ""},
		"without a domain": {"h", "", true, "h", ""},
		"64 fit":           {"abc", d60, true, "abc." + d60, ""},
		"65 do not": {"abcd", d60, true, "", "failed to construct FQDN from pod hostname and cluster domain, FQDN abcd." + d60 +
			" is too long (64 characters is the max, 65 characters requested)"},
	} {
		got, err := KernelName(c.host, c.domain, c.fqdn)
		if got != c.want || (err == nil) != (c.er == "") || err != nil && err.Error() != c.er {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

const fixed = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"

func TestHosts(t *testing.T) {
	aliases := []Alias{{"1.2.3.4", []string{"a", "b.c"}}, {"::5", []string{"d"}}}
	entries := "\n# Entries added by HostAliases.\n1.2.3.4\ta\tb.c\n::5\td\n"
	for name, c := range map[string]struct{ got, want string }{
		"one address":  {string(Hosts([]string{"10.0.0.2"}, "h", "", nil)), "# Kubernetes-managed hosts file.\n" + fixed + "10.0.0.2\th\n"},
		"two, domain":  {string(Hosts([]string{"10.0.0.2", "fd::2"}, "h", "s.n.svc.d", nil)), "# Kubernetes-managed hosts file.\n" + fixed + "10.0.0.2\th.s.n.svc.d\th\nfd::2\th.s.n.svc.d\th\n"},
		"aliases":      {string(Hosts([]string{"10.0.0.2"}, "h", "", aliases)), "# Kubernetes-managed hosts file.\n" + fixed + "10.0.0.2\th\n" + entries},
		"host network": {string(NodeHosts([]byte("127.0.0.1 x\n"), nil)), "# Kubernetes-managed hosts file (host network).\n127.0.0.1 x\n"},
		"with aliases": {string(NodeHosts([]byte("127.0.0.1 x\n"), aliases)), "# Kubernetes-managed hosts file (host network).\n127.0.0.1 x\n" + entries},
	} {
		if c.got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, c.got, c.want)
		}
	}
}
