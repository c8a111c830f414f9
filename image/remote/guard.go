package remote

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"

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
	if first, left := origin(req); left {
		if err := g.leave(first, req); err != nil {
			return nil, err
		}
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", g.agent)
	}
	if g.host.Fallback && req.URL.Scheme == "https" && req.URL.Host == g.host.Host {
		return g.fallback(req)
	}
	return g.send(req)
}

// leave makes ready a request that a redirect leads away from the host first.
func (g *guard) leave(first string, req *http.Request) error {
	switch {
	case req.Body != nil && req.Body != http.NoBody:
		return fmt.Errorf("%s redirects a form to %s: %w", first, req.URL.Host, ErrInvalid)
	case near(req.URL.Host) && !near(first):
		return fmt.Errorf("%s redirects to %s, %w", first, req.URL.Host, errNear)
	}
	for name := range g.host.Header {
		req.Header.Del(name)
	}
	req.Header.Del("Authorization")
	req.Header.Del("Cookie")
	return nil
}

// send refuses plain text where it is not allowed.
func (g *guard) send(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !g.mayPlain(req.URL.Host) {
		return nil, fmt.Errorf("%s: %w", req.URL.Host, errPlain)
	}
	resp, err := g.reach.carrier(req, g.isLed(req.URL)).RoundTrip(req)
	if resp != nil {
		resp.Request = req // what a redirect is judged by, whatever the transport says
	}
	return resp, err
}

// isLed says whether an answer from elsewhere led to u, which the host is not.
func (g *guard) isLed(u *url.URL) bool {
	return g.led || u.Hostname() != g.root().Hostname() && !near(g.host.Host)
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
// chain went to another since, to another port, or gave up TLS. Whoever was left
// is not come back to.
func origin(req *http.Request) (first string, left bool) {
	chain := []*url.URL{req.URL}
	for r := req; r.Response != nil && r.Response.Request != nil; {
		r = r.Response.Request
		chain = append(chain, r.URL)
	}
	start := chain[len(chain)-1]
	for _, u := range chain {
		left = left || !sameOrigin(start, u)
	}
	return start.Host, left
}

// sameOrigin says whether what was for a may be sent to b.
func sameOrigin(a, b *url.URL) bool {
	return a.Hostname() == b.Hostname() && port(a) == port(b) && (a.Scheme == b.Scheme || b.Scheme == "https")
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}
