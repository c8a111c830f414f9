package remote

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"github.com/lifepod/lifepod/image/remote/hosts"
)

// guard stands between the requests and the network: whatever is asked for, it
// sends no secret along a redirect to another host, and nothing in plain text to
// where that is not allowed. It finds out whether a host speaks TLS.
type guard struct {
	*endpoint
	agent string
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Del("Referer") // it may be signed
	first, left := origin(req)
	if left {
		if req.Body != nil && req.Body != http.NoBody {
			return nil, fmt.Errorf("%s redirects a form to %s: %w", first, req.URL.Host, ErrInvalid)
		}
		for name := range g.host.Header {
			req.Header.Del(name)
		}
		req.Header.Del("Authorization")
		req.Header.Del("Cookie")
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", g.agent)
	}
	if g.host.Fallback && req.URL.Scheme == "https" && req.URL.Host == g.host.Host {
		return g.fallback(req)
	}
	return g.send(req)
}

// send refuses plain text where it is not allowed.
func (g *guard) send(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !g.mayPlain(req.URL.Host) {
		return nil, fmt.Errorf("%s: %w", req.URL.Host, errPlain)
	}
	return g.transport.RoundTrip(req)
}

// mayPlain says whether http is allowed to a host: what is not this machine must
// have been configured so.
func (e *endpoint) mayPlain(host string) bool {
	if e.plain || hosts.Loopback(e.host.Host) && hosts.Loopback(host) {
		return true
	}
	return (e.host.Fallback || e.host.Scheme == "http") && !hosts.Loopback(e.host.Host)
}

// fallback tries https, then http. Requests to these hosts have no body.
func (g *guard) fallback(req *http.Request) (*http.Response, error) {
	if !g.noTLS.Load() {
		resp, err := g.send(req)
		if err == nil || req.Context().Err() != nil || !noTLS(err) && req.URL.Port() != "" {
			return resp, err
		}
	}
	plain := req.Clone(req.Context())
	plain.URL.Scheme = "http"
	resp, err := g.send(plain)
	g.noTLS.Store(err == nil && resp.StatusCode != http.StatusBadRequest) // 400 is also what a TLS server says to http
	return resp, err
}

// noTLS says whether the other side answered, but not in TLS.
func noTLS(err error) bool {
	var record tls.RecordHeaderError
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record)
}

// origin is the host that a chain of redirects began at; left says whether the
// chain went to another since, or gave up TLS.
func origin(req *http.Request) (first string, left bool) {
	var chain []*http.Request
	for r := req; ; r = r.Response.Request {
		chain = append(chain, r)
		if r.Response == nil || r.Response.Request == nil {
			break
		}
	}
	start := chain[len(chain)-1].URL
	for _, r := range chain {
		left = left || r.URL.Host != start.Host || start.Scheme == "https" && r.URL.Scheme != "https"
	}
	return start.Host, left
}
