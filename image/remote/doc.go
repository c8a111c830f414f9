// Package remote reads manifests and blobs from a registry (OCI distribution,
// Docker registry v2): anonymous, basic and token authentication, mirrors,
// retries, ranges, and an end to waiting.
//
// It verifies sizes; the digests of blobs are the caller's to verify, who reads
// every byte anyway. A registry is reached where [Options] and package hosts
// say, else under its own name; credentials are shown to these hosts, once they
// ask, and to the token server that they name. They never go along a redirect to
// another host or port or to plain text, nor does the host there get any by
// asking; headers that hosts.toml sets go to their host alone; none of it stands
// in an error. No registry elsewhere leads to this machine or to its link.
//
// go-containerregistry's transport is not used: it asks for a challenge at the
// host's root alone, where a mirror may lie below a path, sends credentials to any
// realm that an answer names, and puts a token server's answer into its errors.
package remote

import (
	"net/http"
	"time"

	"github.com/lifepod/lifepod/image/credentials"
	"github.com/lifepod/lifepod/image/remote/hosts"
)

// Auth is what to prove oneself with. The zero value is anonymous. A registry
// token wins over an identity token, that over user and password.
type Auth = credentials.Auth

// secrets lists what no text may hold.
func secrets(a Auth) []string { return []string{a.Password, a.IdentityToken, a.RegistryToken} }

// Options of a [Client]. The zero value works.
type Options struct {
	// Transport carries the requests. Nil means a clone of
	// http.DefaultTransport, which honours HTTPS_PROXY and the system's CAs.
	// Hosts with certificates of their own need an *http.Transport.
	Transport http.RoundTripper
	// Hosts says where registries are reached: hosts.Dir("/etc/containerd/certs.d").
	// Nil means at their own names.
	Hosts hosts.Func
	// Mirrors says it in short for single registries, by the domain that image
	// names have: {"registry.example": "127.0.0.1:5000"}. It wins over Hosts.
	Mirrors map[string]string
	// ForeignLayers allows layers that lie where their URLs say instead of at the
	// registry. No credentials go there.
	ForeignLayers bool
	// Stall is how long a request may go on without a byte. Zero means 5 min.
	Stall time.Duration
	// Retries bounds how often a request is tried again after a broken
	// connection, 408, 429 or 5xx; a blob that makes progress starts counting
	// anew. Zero means 4, negative none.
	Retries int
	// Backoff is the wait before the first retry; it doubles, up to 30 s, and is
	// jittered by half. Zero means 250 ms. A Retry-After of up to 1 min wins.
	Backoff time.Duration
	// ManifestLimit bounds a manifest, an index and an image's config, in bytes. Zero means 8 MiB.
	ManifestLimit int64
	// UserAgent defaults to "lifepod".
	UserAgent string
}

func (o Options) defaults() Options {
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 8
		o.Transport = t
	}
	if o.Stall == 0 {
		o.Stall = 5 * time.Minute
	}
	if o.Retries == 0 {
		o.Retries = 4
	}
	if o.Backoff == 0 {
		o.Backoff = 250 * time.Millisecond
	}
	if o.ManifestLimit == 0 {
		o.ManifestLimit = 8 << 20
	}
	if o.UserAgent == "" {
		o.UserAgent = "lifepod"
	}
	return o
}
