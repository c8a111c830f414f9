package remote

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"github.com/lifepod/lifepod/image/remote/hosts"
)

// errNear is for an answer from elsewhere that leads to where only this machine
// gets, past whatever keeps others out.
var errNear = fmt.Errorf("which only this machine reaches: %w", ErrInvalid)

// near says whether a host, maybe with a port, is this machine or on its link,
// where clouds keep the secrets of their machines. It goes by what is written, so
// that nothing is looked up; what a name leads to is judged when it is dialled.
// Private networks are not near: registries lead to storage there.
func near(host string) bool {
	u := url.URL{Host: host}
	name := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && nearAddr(ip)
}

func nearAddr(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified()
}

// reach is a transport whose connections are judged by the address that a name
// was found to have, before anything is sent over them. Each kind has connections
// of its own.
type reach struct {
	base http.RoundTripper
	// led carries requests to where an answer from elsewhere led; here those that
	// may go out unprotected because they stay on this machine.
	led, here func() *http.Transport
}

func newReach(base http.RoundTripper) *reach {
	t, ok := base.(*http.Transport)
	if !ok { // it says nothing of its connections
		return &reach{base: base}
	}
	return &reach{
		base: base,
		led: sync.OnceValue(func() *http.Transport {
			return judged(t, func(host string, ip netip.Addr) error {
				if nearAddr(ip) {
					return fmt.Errorf("%s is %s, %w", host, ip, errNear)
				}
				return nil
			})
		}),
		here: sync.OnceValue(func() *http.Transport {
			return judged(t, func(host string, ip netip.Addr) error {
				if !ip.Unmap().IsLoopback() {
					return fmt.Errorf("%s is %s, not this machine: %w", host, ip, ErrInvalid)
				}
				return nil
			})
		}),
	}
}

// judged returns t, whose connections must pass.
func judged(t *http.Transport, pass func(host string, ip netip.Addr) error) *http.Transport {
	t = t.Clone()
	type dial = func(ctx context.Context, network, addr string) (net.Conn, error)
	judge := func(d dial) dial {
		return func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := d(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			peer, err := netip.ParseAddrPort(conn.RemoteAddr().String())
			if err == nil {
				err = pass(addr, peer.Addr())
			}
			if err != nil {
				_ = conn.Close()
				return nil, err
			}
			return conn, nil
		}
	}
	if t.DialContext == nil {
		t.DialContext = (&net.Dialer{}).DialContext
	}
	t.DialContext = judge(t.DialContext)
	if t.DialTLSContext != nil {
		t.DialTLSContext = judge(t.DialTLSContext)
	}
	return t
}

// carrier says what carries a request. A proxy finds addresses itself, and is asked
// by the base.
func (r *reach) carrier(req *http.Request, led bool) http.RoundTripper {
	t, ok := r.base.(*http.Transport)
	if !ok {
		return r.base
	}
	if t.Proxy != nil {
		if proxy, err := t.Proxy(req); err != nil || proxy != nil {
			return r.base
		}
	}
	switch {
	case hosts.Loopback(req.URL.Host):
		return r.here()
	case led:
		return r.led()
	}
	return r.base
}

func (r *reach) closeIdle() {
	if _, ok := r.base.(*http.Transport); ok {
		closeIdle(r.led())
		closeIdle(r.here())
	}
	closeIdle(r.base)
}
