package local_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/image/imagetest"
	"github.com/lifepod/lifepod/lifecycle/local"
)

// Whatever a registry does, its pod waits, says what the registry did, and runs
// once that has passed.
func TestPullFaultsPass(t *testing.T) {
	for name, c := range map[string]struct {
		path  string
		fault imagetest.Fault
		says  string
	}{
		"401":             {"", imagetest.Status(http.StatusUnauthorized), "401 Unauthorized"},
		"manifest digest": {"/manifests/", imagetest.Corrupt(), "digest mismatch"},
		"layer digest":    {"/blobs/", imagetest.Corrupt(), "digest mismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			o, registry := optionsWith(t)
			registry.On(c.path, c.fault)
			n := open(t, o)
			defer n.Close()
			h := runManifest(t, n, one("Never", "[exit]"))
			st := until(t, h, func(s corev1.PodStatus) bool { return waiting(s) == "ImagePullBackOff" })
			if m := st.ContainerStatuses[0].State.Waiting.Message; !strings.Contains(m, c.says) {
				t.Errorf("it waits with %q, want %q", m, c.says)
			}
			awaitEvent(t, h, "Failed", "Failed to pull image", c.says)
			registry.Heal()
			until(t, h, phase(corev1.PodSucceeded))
			stop(t, h)
		})
	}
}

// Without a free address a pod waits, and runs when another has given its own up.
func TestNoFreeAddress(t *testing.T) {
	o := options(t)
	o.Pools = []netip.Prefix{netip.MustParsePrefix("10.251.77.32/29")} // one for the bridge, five for pods
	n := open(t, o)
	defer n.Close()
	pod := func(name string) *local.Handle {
		return runManifest(t, n, strings.Replace(one("Always", "[work, /beat]"), "name: one", "name: "+name, 1))
	}
	var hs []*local.Handle
	for i := range 5 {
		hs = append(hs, pod(fmt.Sprint("pod-", i)))
		until(t, hs[i], ready)
	}
	last := pod("last")
	awaitEvent(t, last, "FailedCreatePodSandBox", "no IP addresses available in range set: 10.251.77.33-10.251.77.38")
	stop(t, hs[0])
	if st := until(t, last, ready); st.PodIP != "10.251.77.34" {
		t.Errorf("it has the address %s", st.PodIP)
	}
	for _, h := range append(hs[1:], last) {
		stop(t, h)
	}
}
