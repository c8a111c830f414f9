package bridge

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/netns"
)

func TestPortsThatAreTaken(t *testing.T) {
	o := options(t)
	n := open(t, o)
	var l net.Listener
	var u net.PacketConn
	err := netns.Do(o.Host, func() (err error) {
		if l, err = net.Listen("tcp4", "127.0.0.1:80"); err != nil {
			return err
		}
		u, err = net.ListenPacket("udp4", ":53")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	defer u.Close()
	one := netip.MustParseAddr("127.0.0.1")
	a := pod(t, "a")
	for name, c := range map[string]struct {
		ports []netns.PortMapping
		want  string
	}{
		"all addresses":    {[]netns.PortMapping{tcp(80, 80)}, "host port 80/tcp on all addresses is taken: a program listens on it"},
		"its address":      {[]netns.PortMapping{{Protocol: "tcp", HostIP: one, HostPort: 80, ContainerPort: 1}}, "host port 80/tcp on 127.0.0.1 is taken"},
		"udp":              {[]netns.PortMapping{{Protocol: "udp", HostPort: 53, ContainerPort: 53}}, "host port 53/udp"},
		"strange address":  {[]netns.PortMapping{{Protocol: "tcp", HostIP: netip.MustParseAddr("192.0.2.9"), HostPort: 90, ContainerPort: 1}}, "the host has no address 192.0.2.9"},
		"twice in one pod": {[]netns.PortMapping{tcp(90, 1), {Protocol: "tcp", HostIP: one, HostPort: 90, ContainerPort: 2}}, "host port 90/tcp is asked for twice"},
	} {
		a.Ports = c.ports
		if _, err := n.Setup(t.Context(), a); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		teardown(t, n, a)
	}
	l.Close()
	a.Ports = []netns.PortMapping{{Protocol: "tcp", HostIP: one, HostPort: 80, ContainerPort: 80}, {Protocol: "sctp", HostPort: 80, ContainerPort: 80}}
	setup(t, n, a)
	if err := n.Check(t.Context(), a); err != nil {
		t.Error(err)
	}
	b := pod(t, "b", tcp(80, 80))
	if _, err := n.Setup(t.Context(), b); err == nil || !strings.Contains(err.Error(), "is taken by a") {
		t.Errorf("all addresses while a has one: %v", err)
	}
	teardown(t, n, b)
	if err := n.Check(t.Context(), a); err != nil {
		t.Errorf("the refused pod's teardown took a's port: %v", err)
	}
	teardown(t, n, a)
	clean(t, o)
}
