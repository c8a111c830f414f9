package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// userAgent is what web servers and their logs know probes by.
const userAgent = "kube-probe/1.37"

// HTTP succeeds when a GET is answered with a status from 200 to 399.
type HTTP struct {
	// Scheme is "http" or "https", in any case. Empty means http. Certificates
	// are not verified.
	Scheme string
	// Host is a name or an address, IPv4 or IPv6 without brackets.
	Host string
	Port int
	// Path may carry a query.
	Path string
	// Header is sent along; Host names the virtual host, and an empty Accept
	// sends none.
	Header http.Header
	// Timeout of the whole probe. Zero means 1 s.
	Timeout time.Duration
}

var _ Prober = HTTP{}

// transport has no state between probes: no kept connections, no proxy.
var transport = &http.Transport{
	TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
	DisableKeepAlives:  true,
	DisableCompression: true,
	ForceAttemptHTTP2:  true,
	DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return Dialer().DialContext(ctx, network, addr)
	},
}

// Probe asks once. Redirects are followed on the same host; one that leads to
// another host is a Warning. No answer in time is a Failure. The message of a
// failure never holds the body, which may be secret.
func (h HTTP) Probe(ctx context.Context) (Outcome, string, error) {
	req, err := h.request(ctx)
	if err != nil {
		return Unknown, "", err
	}
	client := &http.Client{Transport: transport, Timeout: orSecond(h.Timeout), CheckRedirect: sameHost}
	res, err := client.Do(req)
	if err != nil {
		if over := ended(ctx); over != nil {
			return Unknown, "", over
		}
		return Failure, err.Error(), nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxOutput))
	if err != nil {
		if over := ended(ctx); over != nil {
			return Unknown, "", over
		}
		return Failure, "", err
	}
	switch {
	case res.StatusCode < 200 || res.StatusCode >= 400:
		return Failure, fmt.Sprintf("HTTP probe failed with statuscode: %d", res.StatusCode), nil
	case res.StatusCode >= 300:
		return Warning, fmt.Sprintf("Probe terminated redirects, Response body: %s", body), nil
	}
	return Success, string(body), nil
}

func (h HTTP) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url().String(), nil)
	if err != nil {
		return nil, err
	}
	header := h.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if _, ok := header["User-Agent"]; !ok {
		header.Set("User-Agent", userAgent)
	}
	if _, ok := header["Accept"]; !ok {
		header.Set("Accept", "*/*")
	} else if header.Get("Accept") == "" {
		header.Del("Accept")
	}
	req.Header, req.Host = header, header.Get("Host")
	return req, nil
}

func (h HTTP) url() *url.URL {
	u, err := url.Parse(h.Path)
	if err != nil {
		u = &url.URL{Path: h.Path} // let the server judge it
	}
	u.Scheme = strings.ToLower(h.Scheme)
	if u.Scheme == "" {
		u.Scheme = "http"
	}
	u.Host = net.JoinHostPort(h.Host, strconv.Itoa(h.Port))
	return u
}

func sameHost(req *http.Request, via []*http.Request) error {
	if req.URL.Hostname() != via[0].URL.Hostname() {
		return http.ErrUseLastResponse
	}
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	return nil
}
