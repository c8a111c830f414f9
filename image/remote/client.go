package remote

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Client talks to registries. Its methods are safe for concurrent use.
type Client struct {
	opts Options

	// insecure is the transport without a check of certificates.
	insecure func() http.RoundTripper

	mu       sync.Mutex
	sessions map[sessionKey]*session
}

// New returns a client.
func New(o Options) *Client {
	c := &Client{opts: o.defaults(), sessions: map[sessionKey]*session{}}
	c.insecure = sync.OnceValue(func() http.RoundTripper { return insecure(c.opts.Transport) })
	return c
}

// Close closes idle connections. A closed client may be used again.
func (c *Client) Close() {
	for _, t := range []http.RoundTripper{c.opts.Transport, c.insecure()} {
		if t, ok := t.(interface{ CloseIdleConnections() }); ok {
			t.CloseIdleConnections()
		}
	}
}

// Repository is one repository of a registry, seen with one authorisation.
type Repository struct {
	client       *Client
	domain, path string
	auth         Auth
	plain        bool
}

// Repository names a repository: domain is a host with an optional port,
// "docker.io" meaning Docker Hub. With plain, http and wrong certificates are
// allowed. Nothing is sent yet.
func (c *Client) Repository(domain, path string, auth Auth, plain bool) *Repository {
	if m, ok := c.opts.Mirrors[domain]; ok {
		domain = m
	}
	return &Repository{c, domain, path, auth, plain}
}

type sessionKey struct {
	domain, path string
	auth         Auth
	plain        bool
}

// session is what a handshake with a registry led to: a transport that knows
// the scheme and has the tokens. sem, of one place, guards it: whoever waits for
// another's handshake can give up.
type session struct {
	sem   chan struct{}
	rt    http.RoundTripper
	since time.Time
}

// sessionAge is how long a handshake is trusted; tokens renew themselves.
const sessionAge = 10 * time.Minute

// maxSessions bounds what is remembered; the next pull shakes hands again.
const maxSessions = 256

// session returns the repository's session, locked. The caller calls unlock.
func (r *Repository) session(ctx context.Context) (s *session, unlock func(), err error) {
	c := r.client
	key := sessionKey{r.domain, r.path, r.auth, r.plain}
	c.mu.Lock()
	if s = c.sessions[key]; s == nil {
		if len(c.sessions) >= maxSessions {
			clear(c.sessions)
		}
		s = &session{sem: make(chan struct{}, 1)}
		c.sessions[key] = s
	}
	c.mu.Unlock()
	select {
	case s.sem <- struct{}{}:
	default:
		select {
		case s.sem <- struct{}{}:
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
	return s, func() { <-s.sem }, nil
}

// transport returns a transport that authenticates, and what the repository's
// URLs begin with. The transport turns https into http where that is spoken.
func (r *Repository) transport(ctx context.Context) (http.RoundTripper, string, error) {
	reg, err := name.NewRegistry(r.domain, r.nameOptions()...)
	if err != nil {
		return nil, "", fmt.Errorf("registry %q: %w", r.domain, ErrInvalid)
	}
	s, unlock, err := r.session(ctx)
	if err != nil {
		return nil, "", err
	}
	defer unlock()
	if s.rt == nil || time.Since(s.since) > sessionAge {
		rt, err := r.handshake(ctx, reg)
		if err != nil {
			return nil, "", r.wrap("authenticate with "+r.domain, err)
		}
		s.rt, s.since = rt, time.Now()
	}
	return s.rt, fmt.Sprintf("https://%s/v2/%s/", reg.RegistryStr(), r.path), nil
}

func (r *Repository) nameOptions() []name.Option {
	if r.plain || isLoopback(r.domain) {
		return []name.Option{name.Insecure}
	}
	return nil
}

func (r *Repository) handshake(ctx context.Context, reg name.Registry) (http.RoundTripper, error) {
	ctx, dog := newWatchdog(ctx, r.client.opts.Stall)
	defer dog.stop()
	base := r.client.opts.Transport
	if r.plain {
		base = r.client.insecure()
	}
	g := &guard{inner: base, plain: r.plain, loopback: isLoopback(r.domain)}
	rt, err := transport.NewWithContext(ctx, reg, r.authenticator(), transport.NewUserAgent(g, r.client.opts.UserAgent),
		[]string{reg.Repo(r.path).Scope(transport.PullScope)})
	return rt, dog.cause(err)
}

func (r *Repository) authenticator() authn.Authenticator {
	if r.auth == (Auth{}) {
		return authn.Anonymous
	}
	return authn.FromConfig(authn.AuthConfig{
		Username: r.auth.Username, Password: r.auth.Password,
		IdentityToken: r.auth.IdentityToken, RegistryToken: r.auth.RegistryToken,
	})
}

// forget drops the handshake that rt came from: the next request asks anew.
func (r *Repository) forget(rt http.RoundTripper) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	s, unlock, err := r.session(now)
	if err != nil { // another handshake is under way
		return
	}
	defer unlock()
	if s.rt == rt {
		s.rt = nil
	}
}
