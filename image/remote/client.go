package remote

import (
	"fmt"
	"net/http"
	"sync"

	"github.com/lifepod/lifepod/image/remote/hosts"
)

// Client talks to registries. Its methods are safe for concurrent use.
type Client struct {
	opts  Options
	reach *reach // of opts.Transport

	mu        sync.Mutex
	endpoints map[string]*endpoint // by their key
}

// New returns a client.
func New(o Options) *Client {
	o = o.defaults()
	return &Client{opts: o, reach: newReach(o.Transport), endpoints: map[string]*endpoint{}}
}

// Close closes idle connections. A closed client may be used again.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget()
	c.reach.closeIdle()
}

// forget drops what is known of all endpoints. The caller holds c.mu.
func (c *Client) forget() {
	for _, e := range c.endpoints {
		if e.reach != c.reach {
			e.reach.closeIdle()
		}
	}
	clear(c.endpoints)
}

func closeIdle(t http.RoundTripper) {
	if t, ok := t.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Repository is one repository of a registry, seen with one authorisation.
type Repository struct {
	client       *Client
	domain, path string
	auth         Auth
	plain        bool
	// places are found at the first request.
	places func() ([]*place, error)
}

// Repository names a repository: domain is a host with an optional port,
// "docker.io" meaning Docker Hub. With plain, http and wrong certificates are
// allowed. Nothing is sent yet.
func (c *Client) Repository(domain, path string, auth Auth, plain bool) *Repository {
	r := &Repository{client: c, domain: domain, path: path, auth: auth, plain: plain}
	r.places = sync.OnceValues(r.find)
	return r
}

// find returns the repository's places, in the order in which to try them.
func (r *Repository) find() ([]*place, error) {
	list, err := r.client.hosts(r.domain)
	if err != nil {
		return nil, err
	}
	var all []*place
	for _, h := range list {
		e, err := r.client.endpoint(h, r.plain, false)
		if err != nil {
			return nil, fmt.Errorf("host %s of registry %s: %w", h.Host, r.domain, err)
		}
		all = append(all, &place{Repository: r, endpoint: e, authz: e.authorizer(r.auth.For(h.Host))})
	}
	return all, nil
}

// hosts says where a registry is.
func (c *Client) hosts(domain string) ([]hosts.Host, error) {
	if addr, ok := c.opts.Mirrors[domain]; ok {
		return hosts.Complete(nil, addr), nil
	}
	if c.opts.Hosts == nil {
		return hosts.Complete(nil, domain), nil
	}
	list, err := c.opts.Hosts(domain)
	if err != nil {
		return nil, err
	}
	return hosts.Complete(list, domain), nil
}

// maxEndpoints bounds what is remembered.
const maxEndpoints = 256

// endpoint returns what is known of a host; it is made when there is nothing. It
// is led if an answer from elsewhere leads there.
func (c *Client) endpoint(h hosts.Host, plain, led bool) (*endpoint, error) {
	key, err := keyOf(h, plain, led)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.endpoints[key]; e != nil {
		return e, nil
	}
	e, err := newEndpoint(h, plain, led, c.opts, c.reach)
	if err != nil {
		return nil, err
	}
	if len(c.endpoints) >= maxEndpoints {
		c.forget()
	}
	c.endpoints[key] = e
	return e, nil
}
