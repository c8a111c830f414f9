package netnstest

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/lifepod/lifepod/netns"
)

func TestFake(t *testing.T) {
	Run(t, func(testing.TB) Bed {
		f := &Fake{Subnet: netip.MustParsePrefix("10.9.0.0/29")}
		return Bed{Network: f, Capacity: 5, Detach: func(a netns.Attachment) { f.Detach(a.ID) },
			Leftovers: func() (left []string) {
				for _, a := range f.Attached() {
					left = append(left, a.ID)
				}
				return left
			}}
	})
}

func TestFakeFailsWhenTold(t *testing.T) {
	broken := errors.New("cable pulled")
	f := &Fake{Before: func(_ context.Context, method string, a netns.Attachment) error {
		if method == "setup" && a.ID == "b" {
			return broken
		}
		return nil
	}}
	if _, err := f.Setup(t.Context(), netns.Attachment{ID: "a", Path: "/a"}); err != nil {
		t.Error(err)
	}
	if _, err := f.Setup(t.Context(), netns.Attachment{ID: "b", Path: "/b"}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestFakeRefusesATakenPort(t *testing.T) {
	var f Fake
	p := []netns.PortMapping{{Protocol: "tcp", HostPort: 80, ContainerPort: 8080}}
	if _, err := f.Setup(t.Context(), netns.Attachment{ID: "a", Path: "/a", Ports: p}); err != nil {
		t.Error(err)
	}
	if _, err := f.Setup(t.Context(), netns.Attachment{ID: "b", Path: "/b", Ports: p}); err == nil {
		t.Error("two pods have one port")
	}
}
