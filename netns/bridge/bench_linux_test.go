package bridge

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lifepod/lifepod/netns"
)

// Setup and Teardown of one pod beside another that stays, as on a node in use;
// the namespaces are made and removed outside the time.
func BenchmarkPod(b *testing.B) {
	for name, ports := range map[string][]netns.PortMapping{
		"plain":    nil,
		"hostport": {{Protocol: "tcp", HostPort: 8080, ContainerPort: 80}},
	} {
		for _, what := range []string{"setup", "teardown"} {
			b.Run(name+"/"+what, func(b *testing.B) { benchPod(b, ports, what) })
		}
	}
}

func benchPod(b *testing.B, ports []netns.PortMapping, what string) {
	o := options(b)
	o.Pools = []netip.Prefix{netip.MustParsePrefix("10.77.0.0/24")}
	n := open(b, o)
	stays := netns.Attachment{ID: "stays", Path: namespace(b, 0)}
	if _, err := n.Setup(b.Context(), stays); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for i := 1; b.Loop(); i++ {
		b.StopTimer()
		a := netns.Attachment{ID: fmt.Sprint("pod-", i), Path: namespace(b, i), Ports: ports}
		step := func(which string, f func() error) {
			start := time.Now()
			if which == what {
				b.StartTimer()
			}
			err := f()
			b.StopTimer()
			if err != nil {
				b.Fatal(err)
			}
			if which == what {
				took = append(took, time.Since(start))
			}
		}
		step("setup", func() error { _, err := n.Setup(b.Context(), a); return err })
		step("teardown", func() error { return n.Teardown(b.Context(), a) })
		if err := netns.Remove(filepath.Dir(a.Path)); err != nil {
			b.Fatal(err)
		}
		time.Sleep(40 * time.Millisecond) // the kernel ends the namespace meanwhile
		b.StartTimer()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*9/10].Microseconds())/1000, "p90-ms")
	b.StopTimer()
	if err := n.Teardown(b.Context(), stays); err != nil {
		b.Fatal(err)
	}
}

// First and last pod: bridge, table and settings made and removed.
func BenchmarkFirstAndLast(b *testing.B) {
	o := options(b)
	n := open(b, o)
	a := netns.Attachment{ID: "pod", Path: namespace(b, 0)}
	for b.Loop() {
		if _, err := n.Setup(b.Context(), a); err != nil {
			b.Fatal(err)
		}
		if err := n.Teardown(b.Context(), a); err != nil {
			b.Fatal(err)
		}
	}
}

func namespace(b *testing.B, i int) string {
	dir := filepath.Join(b.TempDir(), fmt.Sprint("ns", i))
	p, err := netns.Create(dir, netns.Net, netns.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = netns.Remove(dir) })
	return p.Net
}
