package validation

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Limits of dnsConfig.
const (
	maxNameservers = 3
	maxSearches    = 32
	maxSearchChars = 2048
)

// network checks DNS, host aliases and the use of the host's network.
func (c *podCheck) network(at *field.Path) {
	needOneOf(&c.report, at.Child("dnsPolicy"), c.spec.DNSPolicy,
		corev1.DNSClusterFirstWithHostNet, corev1.DNSClusterFirst, corev1.DNSDefault, corev1.DNSNone)
	c.dns(at.Child("dnsConfig"))
	for i, alias := range c.spec.HostAliases {
		here := at.Child("hostAliases").Index(i)
		c.ip(here.Child("ip"), alias.IP)
		for j, name := range alias.Hostnames {
			c.subdomain(here.Child("hostnames").Index(j), name)
		}
	}
	if !c.spec.HostNetwork {
		return
	}
	for i := range c.spec.Containers {
		for j, p := range c.spec.Containers[i].Ports {
			if p.HostPort != p.ContainerPort {
				c.invalid(at.Child("containers").Index(i).Child("ports").Index(j).Child("hostPort"), p.HostPort,
					"must match `containerPort` when `hostNetwork` is true")
			}
		}
	}
}

func (c *podCheck) dns(at *field.Path) {
	d := c.spec.DNSConfig
	if c.spec.DNSPolicy == corev1.DNSNone {
		if d == nil {
			c.required(at, "must provide `dnsConfig` when `dnsPolicy` is None")
			return
		}
		if len(d.Nameservers) == 0 {
			c.required(at.Child("nameservers"), "must provide at least one DNS nameserver when `dnsPolicy` is None")
			return
		}
	}
	if d == nil {
		return
	}
	if len(d.Nameservers) > maxNameservers {
		c.invalid(at.Child("nameservers"), d.Nameservers, sprintf("must not have more than %d nameservers", maxNameservers))
	}
	for i, ns := range d.Nameservers {
		c.ip(at.Child("nameservers").Index(i), ns)
	}
	if len(d.Searches) > maxSearches {
		c.invalid(at.Child("searches"), d.Searches, sprintf("must not have more than %d search paths", maxSearches))
	}
	if len(strings.Join(d.Searches, " ")) > maxSearchChars {
		c.invalid(at.Child("searches"), d.Searches, sprintf("must not have more than %d characters (including spaces) in the search list", maxSearchChars))
	}
	for i, s := range d.Searches {
		if s != "." {
			s = strings.TrimSuffix(s, ".")
			c.each(at.Child("searches").Index(i), s, validation.IsDNS1123SubdomainWithUnderscore(s))
		}
	}
	for i, o := range d.Options {
		if o.Name == "" {
			c.required(at.Child("options").Index(i), "must not be empty")
		}
	}
}
