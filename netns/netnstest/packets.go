package netnstest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/lifepod/lifepod/netns"
)

// patience bounds each exchange: a network that works answers in microseconds,
// and after a lost packet in one second.
const patience = 10 * time.Second

// inside looks at a pod's namespace from within.
func (b *bed) inside(t *testing.T, a netns.Attachment, res netns.Result) {
	t.Helper()
	if b.Host == "" {
		return
	}
	b.reach(t, a, netip.MustParseAddr("127.0.0.1"), a.Path, "the pod itself by loopback")
	err := netns.Do(a.Path, func() error {
		i, err := net.InterfaceByName(res.Interface)
		if err != nil {
			return err
		}
		addrs, err := i.Addrs()
		for _, want := range res.Addrs {
			found := false
			for _, got := range addrs {
				found = found || got.String() == want.String()
			}
			if !found {
				t.Errorf("%s has %v, the result says %s", i.Name, addrs, want)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// reach sends over TCP from a namespace to a server in a's.
func (b *bed) reach(t *testing.T, a netns.Attachment, to netip.Addr, from, who string) {
	t.Helper()
	if b.Host == "" {
		return
	}
	b.exchange(t, a, "tcp", 80, netip.AddrPortFrom(to, 80), from, who)
}

// forwarded sends to a host port from a namespace; a must answer.
func (b *bed) forwarded(t *testing.T, a netns.Attachment, p netns.PortMapping, to netip.AddrPort, from, who string) {
	t.Helper()
	if b.Host == "" {
		return
	}
	b.exchange(t, a, p.Protocol, p.ContainerPort, to, from, who)
}

// exchange serves in a's namespace and asks from another.
func (b *bed) exchange(t *testing.T, a netns.Attachment, protocol string, port uint16, to netip.AddrPort, from, who string) {
	t.Helper()
	stop, err := serve(t.Context(), a.Path, protocol, port, []byte(a.ID))
	if err != nil {
		t.Errorf("serve in %s: %v", a.ID, err)
		return
	}
	defer stop()
	var got []byte
	if err := netns.Do(from, func() error { got, err = ask(t.Context(), protocol, to); return err }); err != nil {
		t.Errorf("%s did not reach %s at %s/%s: %v", who, a.ID, to, protocol, err)
		return
	}
	if !bytes.Equal(got, []byte(a.ID)) {
		t.Errorf("%s asked for %s at %s and got %q", who, a.ID, to, got)
	}
}

// unreached fails if something answers at to.
func (b *bed) unreached(t *testing.T, to netip.AddrPort, from string) {
	t.Helper()
	if b.Host == "" {
		return
	}
	err := netns.Do(from, func() error {
		c, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", to.String())
		if err != nil {
			return err
		}
		return c.Close()
	})
	if err == nil {
		t.Errorf("%s still answers", to)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s neither answers nor refuses", to)
	}
}

// serve answers every connection or datagram with text until stop is called.
func serve(ctx context.Context, path, protocol string, port uint16, text []byte) (stop func(), err error) {
	addr := netip.AddrPortFrom(netip.IPv4Unspecified(), port).String()
	var l net.Listener
	var p net.PacketConn
	err = netns.Do(path, func() (err error) {
		if protocol == "udp" {
			p, err = new(net.ListenConfig).ListenPacket(ctx, "udp4", addr)
			return err
		}
		l, err = new(net.ListenConfig).Listen(ctx, "tcp4", addr)
		return err
	})
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	if protocol == "udp" {
		go func() { defer close(done); answerDatagrams(p, text) }()
		return func() { p.Close(); <-done }, nil
	}
	go func() { defer close(done); answerConns(l, text) }()
	return func() { l.Close(); <-done }, nil
}

func answerConns(l net.Listener, text []byte) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Write(text)
		c.Close()
	}
}

func answerDatagrams(p net.PacketConn, text []byte) {
	buf := make([]byte, 64)
	for {
		_, from, err := p.ReadFrom(buf)
		if err != nil {
			return
		}
		_, _ = p.WriteTo(text, from)
	}
}

// ask reads what a server says. A datagram may be lost: it is sent again.
func ask(ctx context.Context, protocol string, to netip.AddrPort) ([]byte, error) {
	c, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, protocol, to.String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	buf := make([]byte, 256)
	for end := time.Now().Add(patience); ; {
		if protocol == "udp" {
			if _, err := c.Write([]byte("?")); err != nil {
				return nil, err
			}
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		n, err := c.Read(buf)
		if err == nil {
			return buf[:n], nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Now().After(end) {
			return nil, err
		}
	}
}
