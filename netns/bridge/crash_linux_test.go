package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/internal/testutil"
	"github.com/lifepod/lifepod/netns"
)

// crashCase is what the process that is killed is told.
type crashCase struct {
	Options Options
	A       netns.Attachment
}

// TestCrash kills a process at every effect of this package, before and after
// it, while it sets one pod up and tears it down; another then tears the pod
// down, and nothing may be left. Two pods, so that last and other pods occur.
func TestCrash(t *testing.T) {
	if text := os.Getenv("BRIDGE_CRASH"); text != "" {
		live(t, text)
		return
	}
	testutil.RequireRoot(t)
	killed := 0
	for _, effect := range sys.Effects() {
		if !strings.HasPrefix(effect, "bridge/") && effect != "sys/rename" {
			continue
		}
		for n := range max(1, repeated[effect]) {
			for _, when := range []string{"before", "after"} {
				point := fmt.Sprintf("%s:%s:kill:%d", effect, when, n+1)
				t.Run(point, func(t *testing.T) {
					if crash(t, point) {
						killed++
					}
				})
			}
		}
		if testing.Short() {
			break
		}
	}
	t.Logf("killed at %d points", killed)
	if killed < points && !testing.Short() {
		t.Errorf("killed at %d points only, there were %d", killed, points)
	}
}

// repeated effects happen more than once in a pod's life.
var repeated = map[string]int{"bridge/claim": 4, "bridge/ports": 4, "bridge/sysctl": 2, "sys/rename": 6}

const points = 48

func crash(t *testing.T, point string) (killed bool) {
	o := options(t)
	a := pod(t, "a", tcp(80, 80), netns.PortMapping{Protocol: "udp", HostPort: 53, ContainerPort: 53})
	a.Bandwidth = &netns.Bandwidth{Ingress: 1_000_000}
	b, err := json.Marshal(crashCase{o, a})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
	cmd.Env = append(os.Environ(), "BRIDGE_CRASH="+string(b), sys.FailpointEnv+"="+point)
	out, err := cmd.CombinedOutput()
	if err != nil && err.Error() != "signal: killed" {
		t.Fatalf("%v\n%s", err, out)
	}
	n := open(t, o)
	if killed = err != nil; killed {
		// The pod can be set up again by the next process, or torn down.
		if strings.Contains(point, ":before:") {
			if _, err := n.Setup(t.Context(), a); err != nil {
				t.Errorf("Setup after the crash: %v", err)
			}
			if err := n.hasGateway(); err != nil {
				t.Errorf("the bridge after the crash: %v", err)
			} else if err := n.Check(t.Context(), a); err != nil {
				t.Errorf("Check after the crash: %v", err)
			}
		}
		teardown(t, n, a)
	}
	clean(t, o)
	return killed
}

// live is the life of the process that is killed.
func live(t *testing.T, text string) {
	var c crashCase
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	n, err := New(c.Options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Setup(t.Context(), c.A); err != nil {
		t.Fatal(err)
	}
	if err := n.Teardown(t.Context(), c.A); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

// hasGateway says what a bridge lacks that pods are to be reached through.
func (n *Network) hasGateway() error {
	h, err := n.state.host()
	if err != nil {
		return err
	}
	return onHost(n.o.Host, func() error {
		i, err := net.InterfaceByName(n.o.bridgeName())
		if err != nil {
			return err
		}
		addrs, err := i.Addrs()
		has := func(a net.Addr) bool { return strings.HasPrefix(a.String(), gateway(h.Subnet).String()+"/") }
		if err != nil || i.Flags&net.FlagUp == 0 || !slices.ContainsFunc(addrs, has) {
			return errors.Join(fmt.Errorf("%v, addresses %v", i.Flags, addrs), err)
		}
		return nil
	})
}
