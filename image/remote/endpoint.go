package remote

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lifepod/lifepod/image/remote/hosts"
)

// endpoint is a host that serves repositories, with the connections to it and
// what was learnt about it.
type endpoint struct {
	host hosts.Host
	// plain allows http to whatever the host names.
	plain bool
	// led: an answer from elsewhere led to the host.
	led    bool
	reach  *reach
	client *http.Client
	// noTLS: it was found to speak http alone.
	noTLS atomic.Bool
	// until is when to try it again, in Unix nanoseconds.
	until atomic.Int64

	mu    sync.Mutex
	auths map[Auth]*authorizer
}

// keyOf is the same for hosts that are reached in the same way, with the same
// state of their files.
func keyOf(h hosts.Host, plain, led bool) (string, error) {
	files := append([]string(nil), h.CAs...)
	for _, pair := range h.Clients {
		files = append(files, pair[0])
		if pair[1] != "" {
			files = append(files, pair[1])
		}
	}
	var states []string
	for _, f := range files {
		fi, err := os.Stat(f)
		if err != nil {
			return "", err
		}
		states = append(states, fmt.Sprint(fi.Size(), fi.ModTime().UnixNano()))
	}
	b, err := json.Marshal(struct {
		Host       hosts.Host
		Plain, Led bool
		States     []string
	}{h, plain, led, states})
	return string(b), err
}

func newEndpoint(h hosts.Host, plain, led bool, o Options, base *reach) (*endpoint, error) {
	e := &endpoint{host: h, plain: plain, led: led, reach: base, auths: map[Auth]*authorizer{}}
	if plain {
		e.host.Fallback, e.host.SkipVerify = e.host.Fallback || h.Scheme == "https", new(true)
	}
	t, err := e.dial(o.Transport)
	if err != nil {
		return nil, err
	}
	if t != nil {
		e.reach = newReach(t)
	}
	e.client = &http.Client{Transport: &guard{e, o.UserAgent}}
	return e, nil
}

var errTransport = errors.New("its certificates and dial_timeout need Options.Transport to be an *http.Transport")

// dial returns base with what the host asks for, nil if that is nothing.
func (e *endpoint) dial(base http.RoundTripper) (*http.Transport, error) {
	h := e.host
	special := len(h.CAs) > 0 || len(h.Clients) > 0 || h.DialTimeout > 0
	if !special && (h.SkipVerify == nil || h.Scheme == "http") {
		return nil, nil
	}
	t, ok := base.(*http.Transport)
	if !ok && special {
		return nil, errTransport
	} else if !ok { // it decides about certificates itself
		return nil, nil
	}
	t = t.Clone()
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if h.SkipVerify != nil {
		t.TLSClientConfig.InsecureSkipVerify = *h.SkipVerify
	}
	if h.DialTimeout > 0 {
		t.DialContext = (&net.Dialer{Timeout: h.DialTimeout, KeepAlive: 30 * time.Second}).DialContext
	}
	return t, errors.Join(trust(t.TLSClientConfig, h.CAs), show(t.TLSClientConfig, h.Clients))
}

// trust adds authorities to those of the system.
func trust(c *tls.Config, files []string) error {
	if len(files) == 0 {
		return nil
	}
	if c.RootCAs == nil {
		pool, err := x509.SystemCertPool()
		if err != nil {
			return fmt.Errorf("read the system's authorities: %w", err)
		}
		c.RootCAs = pool
	} else {
		c.RootCAs = c.RootCAs.Clone()
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if !c.RootCAs.AppendCertsFromPEM(b) {
			return fmt.Errorf("authority %s: holds no certificate in PEM", f)
		}
	}
	return nil
}

// show adds certificates for the client.
func show(c *tls.Config, pairs [][2]string) error {
	for _, p := range pairs {
		if p[1] == "" {
			p[1] = p[0]
		}
		cert, err := tls.LoadX509KeyPair(p[0], p[1])
		if err != nil {
			return fmt.Errorf("client certificate %s with key %s: %w", p[0], p[1], err)
		}
		c.Certificates = append(c.Certificates, cert)
	}
	return nil
}

// root is where the endpoint is found to be.
func (e *endpoint) root() *url.URL {
	u := &url.URL{Scheme: e.host.Scheme, Host: e.host.Host}
	if e.noTLS.Load() {
		u.Scheme = "http"
	}
	return u
}

// url is that of something below the API's root.
func (e *endpoint) url(domain, below string) string {
	u := url.URL{Scheme: e.host.Scheme, Host: e.host.Host, Path: path.Join("/", e.host.Path, below)}
	if e.host.Proxy(domain) {
		u.RawQuery = url.Values{"ns": {domain}}.Encode()
	}
	return u.String()
}

// rest is how long a host that could not be reached is passed over, while there
// is another.
const rest = 30 * time.Second

func (e *endpoint) resting() bool { return time.Now().UnixNano() < e.until.Load() }

// failed remembers that the host could not be reached.
func (e *endpoint) failed(err error) {
	var re *Error
	if errors.As(err, &re) && re.Status == 0 && (temporary(err) || errors.Is(err, ErrStalled)) {
		e.until.Store(time.Now().Add(rest).UnixNano())
	}
}

// authorizer returns the one for a.
func (e *endpoint) authorizer(a Auth) *authorizer {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.auths[a] == nil {
		if len(e.auths) >= maxEndpoints {
			clear(e.auths)
		}
		e.auths[a] = &authorizer{endpoint: e, auth: a, sem: make(chan struct{}, 1), grants: map[string]grant{}}
	}
	return e.auths[a]
}
