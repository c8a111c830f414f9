package dns

import (
	"compress/gzip"
	"encoding/json"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// golden is one case of testdata/kubelet.jsonl.gz: 400 random nodes and pods
// (seeds 1 to 400), answered by the DNS configurer of the kubelet 1.37.1.
// Options are sorted, since the real order is random.
type golden struct {
	In struct {
		Policy               string
		HostNetwork          bool
		Namespace, Name, UID string
		NoResolvConf         bool
		ResolvConf           string
		ClusterDNS           []string
		ClusterDomain        string
		NodeIPs              []string
		Config               *PodConfig
	}
	Out struct {
		Servers, Searches, Options []string
		Err                        string
		Events, Check              []goldenEvent
	}
}

type goldenEvent struct{ Object, Reason, Message string }

func addrs(t *testing.T, ss []string) []netip.Addr {
	t.Helper()
	var out []netip.Addr
	for _, s := range ss {
		a, err := netip.ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

func TestPodAgainstTheKubelet(t *testing.T) {
	f, err := os.Open("testdata/kubelet.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	n, failures, events := 0, 0, 0
	for d := json.NewDecoder(z); d.More(); n++ {
		var g golden
		if err := d.Decode(&g); err != nil {
			t.Fatal(err)
		}
		compare(t, n+1, g)
		events += len(g.Out.Events) + len(g.Out.Check)
		if g.Out.Err != "" {
			failures++
		}
	}
	if n != 400 || failures == 0 || events < 100 {
		t.Errorf("%d cases, %d errors and %d events: the data is not what it was", n, failures, events)
	}
}

func compare(t *testing.T, seed int, g golden) {
	t.Helper()
	node := Node{ClusterDNS: addrs(t, g.In.ClusterDNS), ClusterDomain: g.In.ClusterDomain, NoResolvConf: g.In.NoResolvConf, IPs: addrs(t, g.In.NodeIPs)}
	host, err := Parse(strings.NewReader(g.In.ResolvConf))
	node.Host = host
	if err != nil || g.Out.Err != "" {
		if got := "Encountered error while parsing resolv conf file. Error: "; err == nil || got+err.Error() != g.Out.Err {
			t.Errorf("seed %d: error %v, want %q", seed, err, g.Out.Err)
		}
	} else {
		c, evs := Pod(node, PodSpec{g.In.Namespace, g.In.Name, g.In.UID, Policy(g.In.Policy), g.In.HostNetwork, g.In.Config})
		opts := slices.Sorted(slices.Values(c.Options))
		for _, p := range []struct {
			what      string
			got, want []string
		}{{"servers", c.Servers, g.Out.Servers}, {"searches", c.Searches, g.Out.Searches}, {"options", opts, g.Out.Options}} {
			if !slices.Equal(p.got, p.want) {
				t.Errorf("seed %d: %s %q, want %q", seed, p.what, p.got, p.want)
			}
		}
		sameEvents(t, seed, evs, g.Out.Events)
	}
	if !g.In.NoResolvConf && err == nil {
		sameEvents(t, seed, CheckLimits("RESOLV", host, g.In.ClusterDomain), g.Out.Check)
	}
}

func sameEvents(t *testing.T, seed int, got []Event, want []goldenEvent) {
	t.Helper()
	var flat []goldenEvent
	for _, e := range got {
		o := "pod"
		if e.OnNode {
			o = "node"
		}
		flat = append(flat, goldenEvent{o, e.Reason, e.Message})
	}
	if len(flat) != len(want) || len(want) > 0 && !reflect.DeepEqual(flat, want) {
		t.Errorf("seed %d: events\n got %q\nwant %q", seed, flat, want)
	}
}
