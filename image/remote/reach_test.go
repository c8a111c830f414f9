package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/lifepod/lifepod/image/remote"
	"github.com/lifepod/lifepod/image/remote/hosts"
)

// names is a network in which every name leads to one server, and has the address
// that the table says, 203.0.113.1 if it has none there.
type names struct {
	server net.Addr
	of     map[string]string
	mu     sync.Mutex
	dialed []string
}

type addressed struct {
	net.Conn
	addr net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.addr }

func (n *names) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.dialed = append(n.dialed, host)
	n.mu.Unlock()
	ip := n.of[host]
	if lit, err := netip.ParseAddr(host); ip == "" && err == nil {
		ip = lit.String()
	} else if ip == "" {
		ip = "203.0.113.1"
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, n.server.String())
	if err != nil {
		return nil, err
	}
	return addressed{conn, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 443))}, nil
}

// What a name leads to is judged when it is dialled: an answer from elsewhere leads
// to nothing that only this machine reaches, whatever the name; and nothing goes
// over the connection that was made.
func TestNamesOfThisMachine(t *testing.T) {
	leads := map[string]func(to string) http.Handler{
		"redirect": func(to string) http.Handler { return http.RedirectHandler("http://"+to+"/x", http.StatusFound) },
		"realm": func(to string) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q", "http://"+to+"/x"))
				w.WriteHeader(http.StatusUnauthorized)
			})
		},
		"foreign": func(string) http.Handler { return http.NotFoundHandler() },
	}
	for _, c := range []struct {
		name, from, to, address string
		refused                 bool
	}{
		{"loopback", "registry.example", "to.example", "127.0.0.1", true},
		{"loopback of IPv6", "registry.example", "to.example", "::1", true},
		{"loopback, mapped", "registry.example", "to.example", "::ffff:127.0.0.1", true},
		{"the secrets of a cloud's machine", "registry.example", "to.example", "169.254.169.254", true},
		{"its link", "registry.example", "to.example", "fe80::1", true},
		{"a private network", "registry.example", "to.example", "10.0.0.1", false},
		{"elsewhere", "registry.example", "to.example", "198.51.100.7", false},
		{"a registry of this machine", "127.0.0.1:5000", "to.example", "127.0.0.1", false},
		{"itself, at another port", "registry.example", "registry.example:8080", "127.0.0.1", false},
	} {
		for by, lead := range leads {
			c := c
			if by == "foreign" && strings.HasPrefix(c.to, c.from) { // anybody can write that manifest
				c.refused = true
			}
			t.Run(c.name+"/"+by, func(t *testing.T) {
				var mu sync.Mutex
				reached := 0
				mux := http.NewServeMux()
				mux.Handle("/v2/", lead(c.to)) // where URLs of the manifest fail, it is asked
				mux.HandleFunc("/x", func(http.ResponseWriter, *http.Request) { mu.Lock(); reached++; mu.Unlock() })
				server := httptest.NewServer(mux)
				defer server.Close()
				toHost, _, _ := strings.Cut(c.to, ":")
				n := &names{server: server.Listener.Addr(), of: map[string]string{toHost: c.address}}
				tr := &http.Transport{DialContext: n.dial}
				client := remote.New(remote.Options{Transport: tr, Retries: -1, ForeignLayers: true})
				defer client.Close()
				d := hello
				if by == "foreign" {
					d.URLs = []string{"http://" + c.to + "/x"}
				}
				err := client.Repository(c.from, "a/b", canary, true).Blob(t.Context(), d, io.Discard)
				if got := reached == 0; got != c.refused {
					t.Errorf("not reached: %v, %v; dialled %q", got, err, n.dialed)
				}
				if c.refused && by != "foreign" && (!errors.Is(err, remote.ErrInvalid) || !strings.Contains(err.Error(), c.to) || !strings.Contains(err.Error(), "which only this machine reaches")) {
					t.Errorf("error %v", err)
				}
			})
		}
	}
}

// A connection that was made for the registry itself is not taken to where it
// leads; and the registry may be at a name for this machine.
func TestNamesAndKeptConnections(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/v2/a/b/manifests/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://near.example/x", http.StatusFound)
	})
	mux.HandleFunc("/x", func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	server := httptest.NewServer(mux)
	defer server.Close()
	n := &names{server: server.Listener.Addr(), of: map[string]string{"near.example": "127.0.0.1"}}
	client := remote.New(remote.Options{Transport: &http.Transport{DialContext: n.dial}, Retries: -1})
	defer client.Close()
	if _, err := client.Repository("near.example", "c", remote.Auth{}, true).Resolve(t.Context(), "1"); !errors.Is(err, remote.ErrNotFound) {
		t.Errorf("a registry at a name for this machine: %v", err)
	}
	if _, err := client.Repository("far.example", "a/b", remote.Auth{}, true).Resolve(t.Context(), "1"); !errors.Is(err, remote.ErrInvalid) {
		t.Errorf("%v; dialled %q", err, n.dialed)
	}
}

// What may be asked in the clear, or with any certificate, because it is this
// machine, is: a resolver that says otherwise gets nothing.
func TestLocalhostIsThisMachine(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1": true, "::1": true, "203.0.113.1": false, "10.0.0.1": false, "169.254.1.1": false} {
		asked := false
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked = true; w.WriteHeader(http.StatusNotFound) }))
		n := &names{server: server.Listener.Addr(), of: map[string]string{"localhost": address}}
		client := remote.New(remote.Options{Transport: &http.Transport{DialContext: n.dial}, Retries: -1})
		_, err := client.Repository("localhost:5000", "a", canary, false).Resolve(t.Context(), "1")
		if asked != want || !want && (err == nil || !strings.Contains(err.Error(), "not this machine")) {
			t.Errorf("%s: asked %v, %v", address, asked, err)
		}
		client.Close()
		server.Close()
	}
}

// A proxy looks names up itself, and may be on this machine.
func TestProxyIsNotJudged(t *testing.T) {
	var mu sync.Mutex
	var got []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		got = append(got, r.URL.String())
		mu.Unlock()
		if r.URL.Host == "registry.example" {
			http.Redirect(w, r, "http://cdn.example/x", http.StatusFound)
		}
	}))
	defer proxy.Close()
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := remote.New(remote.Options{Transport: &http.Transport{Proxy: http.ProxyURL(at)}, Retries: -1, Hosts: func(string) ([]hosts.Host, error) {
		return []hosts.Host{{Scheme: "http", Host: "registry.example", Path: "/v2", Can: hosts.Pull | hosts.Resolve}}, nil
	}})
	defer client.Close()
	_ = client.Repository("registry.example", "a", remote.Auth{}, false).Blob(t.Context(), hello, io.Discard)
	if len(got) != 2 || got[1] != "http://cdn.example/x" {
		t.Errorf("the proxy was asked for %q", got)
	}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A transport can be any, even one that cannot be compared.
func TestTransportIsAFunction(t *testing.T) {
	asked := 0
	client := remote.New(remote.Options{Retries: -1, Transport: tripper(func(*http.Request) (*http.Response, error) {
		asked++
		return reply(404, "", "", ""), nil
	})})
	if _, err := client.Repository("registry.example", "a", remote.Auth{}, false).Resolve(t.Context(), "1"); !errors.Is(err, remote.ErrNotFound) || asked != 1 {
		t.Errorf("%d requests, %v", asked, err)
	}
	client.Close()
}
