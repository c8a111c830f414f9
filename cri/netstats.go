package cri

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/lifepod/lifepod/netns"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// networkUsage reads the counters inside the pod; nil where it has no network of
// its own, or they cannot be read.
func (r *Runtime) networkUsage(s *sandbox) *runtimeapi.NetworkUsage {
	if hostNetwork(s.Config) {
		return nil
	}
	var text []byte
	err := netns.Do(netns.Paths(r.nsDir(s.ID), netns.Net).Net, func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/dev")
		return err
	})
	if err != nil {
		return nil
	}
	u := &runtimeapi.NetworkUsage{Timestamp: time.Now().UnixNano(), Interfaces: parseNetDev(string(text))}
	for _, i := range u.Interfaces {
		if i.GetName() == "eth0" || i.GetName() == s.Net.Interface {
			u.DefaultInterface = i
		}
	}
	return u
}

// parseNetDev reads /proc/net/dev but for loopback.
func parseNetDev(text string) []*runtimeapi.NetworkInterfaceUsage {
	var out []*runtimeapi.NetworkInterfaceUsage
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(line, ":")
		f := strings.Fields(rest)
		if name = strings.TrimSpace(name); !ok || name == "lo" || len(f) < 11 {
			continue
		}
		at := func(i int) *runtimeapi.UInt64Value { v, _ := strconv.ParseUint(f[i], 10, 64); return number(v) }
		out = append(out, &runtimeapi.NetworkInterfaceUsage{Name: name, RxBytes: at(0), RxErrors: at(2), TxBytes: at(8), TxErrors: at(10)})
	}
	return out
}
