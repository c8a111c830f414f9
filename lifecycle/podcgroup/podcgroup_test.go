package podcgroup

import (
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const gi = 1 << 30

func list(kv ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(kv); i += 2 {
		l[corev1.ResourceName(kv[i])] = resource.MustParse(kv[i+1])
	}
	return l
}

// burstable is a pod with one container; tests change it.
func burstable() *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{
		Requests: list("cpu", "500m", "memory", "1Gi"), Limits: list("cpu", "1", "memory", "2Gi"),
	}}}}}
	p.UID = "12-34"
	return p
}

func guaranteed() *corev1.Pod {
	p := burstable()
	p.Spec.Containers[0].Resources.Requests = list("cpu", "1", "memory", "2Gi")
	return p
}

func bestEffort() *corev1.Pod {
	p := burstable()
	p.Spec.Containers[0].Resources = corev1.ResourceRequirements{}
	return p
}

// What golden data does not hold: it has the numbers of pods and containers on a
// v2 node with all of memory QoS.

func TestPath(t *testing.T) {
	for want, p := range map[string]*corev1.Pod{
		"/r/kubepods/pod12-34": guaranteed(), "/r/kubepods/burstable/pod12-34": burstable(), "/r/kubepods/besteffort/pod12-34": bestEffort(),
	} {
		if got, err := Path(p, Options{Root: "/r"}); got != want || err != nil {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	p := burstable()
	p.UID = "../../x"
	if got, err := Path(p, Options{}); err == nil {
		t.Errorf("a uid that leaves the tree became %s", got)
	}
}

func TestValuesOfV1HaveNoFiles(t *testing.T) {
	o := Options{TieredReservation: true, ThrottlingFactor: 0.9, PidsLimit: 100, HugePageSizes: []string{"1GB", "2MB"}}
	p := burstable()
	p.Spec.Containers[0].Resources.Limits["hugepages-2Mi"] = resource.MustParse("4Mi")
	p.Spec.Containers[0].Resources.Requests["hugepages-2Mi"] = resource.MustParse("4Mi")
	v := Values(p, o)
	if v.Unified != nil || *v.PidsMax != 100 || !maps.Equal(v.HugePages, map[string]int64{"1GB": 0, "2MB": 4 << 20}) {
		t.Errorf("%+v", v)
	}
	c := Container(p, &p.Spec.Containers[0], o)
	if c.Unified != nil || c.MemorySwap != 0 || !maps.Equal(c.HugePages, map[string]int64{"1GB": 0, "2MB": 4 << 20}) {
		t.Errorf("%+v", c)
	}
	if v := Values(bestEffort(), Options{}); v.PidsMax != nil || v.HugePages != nil || *v.CPUShares != 2 {
		t.Errorf("%+v", v)
	}
}

// Kubernetes' defaults of today: protection cleared, no throttling, a container
// dies as a whole.
func TestDefaultsOfV2(t *testing.T) {
	c := Container(burstable(), &burstable().Spec.Containers[0], Options{Cgroup2: true, MemoryCapacity: 4 * gi})
	if want := map[string]string{"memory.min": "0", "memory.low": "0", "memory.oom.group": "1"}; !maps.Equal(c.Unified, want) {
		t.Errorf("%v, want %v", c.Unified, want)
	}
	c = Container(burstable(), &burstable().Spec.Containers[0], Options{Cgroup2: true, SingleProcessOOMKill: true, NoCPUQuota: true})
	if _, ok := c.Unified["memory.oom.group"]; ok || c.CPUQuota != 0 || c.CPUPeriod != 0 {
		t.Errorf("%+v", c)
	}
}

func TestSwap(t *testing.T) {
	critical := burstable()
	priority := int32(2_000_000_000)
	critical.Spec.Priority = &priority
	equal := burstable()
	equal.Spec.Containers[0].Resources.Limits["memory"] = resource.MustParse("1Gi")
	for name, c := range map[string]struct {
		p    *corev1.Pod
		o    Options
		file string
		sum  int64
	}{
		"uncounted":      {burstable(), Options{Cgroup2: true}, "", 0},
		"none":           {burstable(), Options{Cgroup2: true, Swap: NoSwap}, "0", 0},
		"limited":        {burstable(), Options{Cgroup2: true, Swap: LimitedSwap}, "2147483648", 0},
		"guaranteed":     {guaranteed(), Options{Cgroup2: true, Swap: LimitedSwap}, "0", 0},
		"best effort":    {bestEffort(), Options{Cgroup2: true, Swap: LimitedSwap}, "0", 0},
		"critical":       {critical, Options{Cgroup2: true, Swap: LimitedSwap}, "0", 0},
		"request=limit":  {equal, Options{Cgroup2: true, Swap: LimitedSwap}, "0", 0},
		"v1, uncounted":  {burstable(), Options{}, "", 0},
		"v1 has no more": {burstable(), Options{Swap: LimitedSwap}, "", 2 * gi},
	} {
		c.o.MemoryCapacity, c.o.SwapCapacity = 4*gi, 8*gi
		got := Container(c.p, &c.p.Spec.Containers[0], c.o)
		if got.Unified["memory.swap.max"] != c.file || got.MemorySwap != c.sum {
			t.Errorf("%s: %q and %d, want %q and %d", name, got.Unified["memory.swap.max"], got.MemorySwap, c.file, c.sum)
		}
	}
}

func TestTiers(t *testing.T) {
	pods := []*corev1.Pod{burstable(), burstable(), guaranteed(), bestEffort()}
	tiers := Tiers(pods, Options{Root: "/r"})
	want := []string{"/r/kubepods", "/r/kubepods/burstable", "/r/kubepods/besteffort"}
	for i, tier := range tiers {
		if tier.Path != want[i] || tier.Values.Unified != nil {
			t.Errorf("%+v, want %s", tier, want[i])
		}
	}
	if tiers[0].Values.CPUShares != nil || *tiers[1].Values.CPUShares != 1024 || *tiers[2].Values.CPUShares != 2 {
		t.Error("shares: the top is left alone, burstable has the sum, besteffort the least")
	}
	tiers = Tiers(pods, Options{Cgroup2: true, TieredReservation: true})
	if !maps.Equal(tiers[0].Values.Unified, map[string]string{"memory.min": "4294967296", "memory.low": "2147483648"}) ||
		!maps.Equal(tiers[1].Values.Unified, map[string]string{"memory.low": "2147483648"}) {
		t.Errorf("%v %v", tiers[0].Values.Unified, tiers[1].Values.Unified)
	}
	tiers = Tiers(nil, Options{Cgroup2: true})
	if *tiers[1].Values.CPUShares != 2 || tiers[0].Values.Unified["memory.min"] != "0" || tiers[1].Values.Unified["memory.low"] != "0" {
		t.Errorf("%+v", tiers)
	}
}

func TestSidecarIsSparedLikeTheSmallestContainer(t *testing.T) {
	p := burstable()
	always := corev1.ContainerRestartPolicyAlways
	p.Spec.InitContainers = []corev1.Container{{Name: "side", RestartPolicy: &always}, {Name: "init"}}
	o := Options{MemoryCapacity: 4 * gi}
	for name, want := range map[string]int64{"main": 750, "side": 750, "init": 999} {
		for _, c := range append(p.Spec.InitContainers, p.Spec.Containers...) {
			if c.Name == name {
				if got := Container(p, &c, o).OOMScoreAdj; got != want {
					t.Errorf("%s: %d, want %d", name, got, want)
				}
			}
		}
	}
	p.Spec.Resources = &corev1.ResourceRequirements{Requests: list("memory", "4Gi")}
	// 3 GiB beyond the containers' own, for three containers.
	if got := Container(p, &p.Spec.Containers[0], o).OOMScoreAdj; got != 500 {
		t.Errorf("with a share of the pod's own: %d, want 500", got)
	}
}
