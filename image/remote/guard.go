package remote

import (
	"fmt"
	"net"
	"net/http"
	"strings"
)

// guard stands between the authentication and the network: whatever the layers
// above ask for, it sends no credentials along a redirect to another host, and
// nothing in plain text to where that is not allowed.
type guard struct {
	inner http.RoundTripper
	// plain allows http to any host.
	plain bool
	// loopback says that the registry is on this machine.
	loopback bool
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !g.plain && !(g.loopback && isLoopback(req.URL.Host)) {
		return nil, fmt.Errorf("%s: %w", req.URL.Host, errPlain)
	}
	if first := origin(req); first.URL.Host != req.URL.Host || first.URL.Scheme == "https" && req.URL.Scheme != "https" {
		if req.Body != nil && req.Body != http.NoBody {
			return nil, fmt.Errorf("%s redirects a form to %s: %w", first.URL.Host, req.URL.Host, ErrInvalid)
		}
		req = req.Clone(req.Context())
		req.Header.Del("Authorization")
		req.Header.Del("Cookie")
	}
	return g.inner.RoundTrip(req)
}

// origin is the request that a chain of redirects began with.
func origin(req *http.Request) *http.Request {
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
	}
	return req
}

func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}
