// Package hosts says where a registry is reached, and how: its mirrors in order,
// their certificates, headers and what each may be asked for. It reads what
// containerd reads, the directories of certs.d with their hosts.toml:
//
//	<root>/registry.example/hosts.toml
//	<root>/registry.example_5000_/hosts.toml   also registry.example:5000
//	<root>/_default/hosts.toml                 for all that have none
//
// A directory without a hosts.toml may hold Docker's files instead: NAME.crt are
// authorities to trust, NAME.cert with NAME.key what to show.
//
// A file gives the hosts that containerd 2 reads from it, but for what containerd
// passes over in silence: what cannot be read, and keys that it does not know,
// are errors here.
package hosts

import (
	"net/http"
	"time"
)

// Host is one place that serves a registry's repositories.
type Host struct {
	// Scheme is http or https. With Fallback, https is tried first, and http where
	// the server speaks no TLS.
	Scheme   string
	Fallback bool
	// Host is a name or an address, maybe with a port; Path what the URLs of the
	// API begin with: "/v2".
	Host, Path string
	// Can is what to ask it for.
	Can Capabilities
	// CAs are PEM files of authorities, trusted beside the system's. Clients are
	// pairs of PEM files, certificate and key; an empty key means that the first
	// file holds both.
	CAs     []string
	Clients [][2]string
	// SkipVerify accepts any certificate. Nil says nothing about it.
	SkipVerify *bool
	// Header goes with every request to this host. Its values may be secret.
	Header http.Header
	// DialTimeout bounds how long a connection may take. Zero means the client's
	// own limit.
	DialTimeout time.Duration
}

// Capabilities are a set of what a host may be asked for.
type Capabilities uint8

// What a host may be asked for: content by its digest, and what a tag names. A
// mirror that only may pull is not believed what a tag names. Push and Referrers
// are read, and nothing here uses them.
const (
	Pull Capabilities = 1 << iota
	Resolve
	Push
	Referrers

	all = Pull | Resolve | Push | Referrers
)

// Has says whether c holds all of want.
func (c Capabilities) Has(want Capabilities) bool { return c&want == want }

// Proxy says whether the host serves a registry (by the domain that image names
// have) that is not its own; it is then told which one is meant.
func (h Host) Proxy(domain string) bool {
	return h.Host != domain && (domain != hub || h.Host != hubHost)
}

// Docker Hub, by the domain of image names and where it is.
const (
	hub     = "docker.io"
	hubHost = "registry-1.docker.io"
)
