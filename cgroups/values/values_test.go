package values

import (
	"math"
	"strings"
	"testing"
)

// The table of the documented formulas: thousandths of a CPU, shares, the linear
// and the quadratic weight.
func TestWeights(t *testing.T) {
	for _, c := range [][4]uint64{
		{1, 2, 1, 1}, {10, 10, 1, 4}, {50, 51, 2, 11}, {100, 102, 4, 17}, {250, 256, 10, 35}, {500, 512, 20, 59},
		{1000, 1024, 39, 100}, {2000, 2048, 79, 174}, {4000, 4096, 157, 303}, {16000, 16384, 625, 942},
		{64000, 65536, 2500, 3023}, {10_000_000, 262144, 10000, 10000}, {0, 2, 1, 1},
	} {
		s := MilliCPUToShares(int64(c[0]))
		if s != c[1] || SharesToWeight(s) != c[2] || ContainerWeight(s) != c[3] {
			t.Errorf("%dm: shares %d, weights %d and %d, want %v", c[0], s, SharesToWeight(s), ContainerWeight(s), c)
		}
	}
	if ContainerWeight(0) != 0 {
		t.Error("no shares must stay unset")
	}
	if got := MilliCPUToShares(-5); got != MinShares {
		t.Errorf("a negative request gives %d shares", got)
	}
}

func TestWeightsReadBack(t *testing.T) {
	for w := uint64(1); w <= 10000; w++ {
		s := WeightToShares(w)
		if got := SharesToWeight(s); got != w && got != w-1 {
			t.Fatalf("linear: weight %d → %d shares → weight %d", w, s, got)
		}
		s = ContainerWeightToShares(w)
		if got := ContainerWeight(s); got > w {
			t.Fatalf("quadratic: weight %d → %d shares → weight %d", w, s, got)
		}
		if s < MaxShares && ContainerWeight(s+1) <= w {
			t.Fatalf("quadratic: %d shares are not the most for weight %d", s, w)
		}
	}
	for s := uint64(2); s <= MaxShares; s += 37 {
		if back := ContainerWeightToShares(ContainerWeight(s)); ContainerWeight(back) != ContainerWeight(s) || back < s {
			t.Fatalf("%d shares read back as %d", s, back)
		}
	}
	if WeightToShares(0) != 0 || ContainerWeightToShares(0) != 0 {
		t.Error("an unset weight must stay unset")
	}
}

func TestQuota(t *testing.T) {
	for _, c := range []struct{ milli, period, want int64 }{
		{0, 100000, 0}, {1, 100000, 1000}, {10, 100000, 1000}, {11, 100000, 1100}, {1500, 100000, 150000}, {200, 1000, 1000}, {1500, 10000, 15000},
	} {
		if got := MilliCPUToQuota(c.milli, c.period); got != c.want {
			t.Errorf("MilliCPUToQuota(%d, %d) = %d, want %d", c.milli, c.period, got, c.want)
		}
	}
	if QuotaToMilliCPU(-1, 100000) != 0 || QuotaToMilliCPU(150000, 100000) != 1500 || QuotaToMilliCPU(1, 0) != 0 {
		t.Error("QuotaToMilliCPU")
	}
	if SharesToMilliCPU(1) != 0 || SharesToMilliCPU(2) != 2 || SharesToMilliCPU(1024) != 1000 {
		t.Error("SharesToMilliCPU")
	}
}

func TestMemoryHigh(t *testing.T) {
	const Mi = 1 << 20
	for name, c := range map[string]struct {
		request, limit int64
		factor         float64
		want           int64
	}{
		"between":        {100 * Mi, 200 * Mi, 0.9, 190 * Mi},
		"rounds down":    {1, 10000, 0.9, 8192},
		"equal":          {100 * Mi, 100 * Mi, 0.9, 0},
		"no limit":       {100 * Mi, 0, 0.9, 0},
		"limit below":    {200 * Mi, 100 * Mi, 0.9, 0},
		"no request":     {0, 200 * Mi, 0.5, 100 * Mi},
		"under one page": {4000, 5000, 0.9, 4096},
		"not above":      {4096, 5000, 0.9, 0},
	} {
		if got := MemoryHigh(c.request, c.limit, c.factor, 4096); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestMemoryProtection(t *testing.T) {
	if mn, low := MemoryProtection(Guaranteed, 5); mn != 5 || low != 0 {
		t.Error(mn, low)
	}
	if mn, low := MemoryProtection(Burstable, 5); mn != 0 || low != 5 {
		t.Error(mn, low)
	}
	if mn, low := MemoryProtection(Guaranteed, 0); mn != 0 || low != 0 {
		t.Error(mn, low)
	}
	if got := TierProtection(3, 4); got != (Tiers{7, 4, 4}) {
		t.Error(got)
	}
}

func TestSizes(t *testing.T) {
	for _, c := range [][4]int64{{100, 0, 0, 100}, {100, 50, 0, 50}, {100, 50, 20, 20}, {100, 50, 60, 50}, {100, 200, 300, 100}, {100, -1, 100, 100}} {
		if got := TmpfsSize(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("TmpfsSize%v = %d", c[:3], got)
		}
	}
	if LimitedSwap(1, 0, 10) != 0 || LimitedSwap(11, 10, 10) != 0 || LimitedSwap(5, 10, 8) != 4 {
		t.Error("LimitedSwap")
	}
	if NodeAllocatable(100, 10, 20, 30) != 40 || NodeAllocatable(10, 10, 10, 0) != 0 {
		t.Error("NodeAllocatable")
	}
	for n, want := range map[int64]string{2 << 20: "2MB", 1 << 30: "1GB", 64 << 10: "64KB", 512: "512B", 3000: "", 0: "", -4: ""} {
		if got, err := HugePageName(n); got != want || (err != nil) != (want == "") {
			t.Errorf("HugePageName(%d) = %q, %v", n, got, err)
		}
	}
}

func TestOOMScoreAdj(t *testing.T) {
	const Gi = 1 << 30
	for name, c := range map[string]struct {
		o    OOM
		want int
	}{
		"guaranteed":                   {OOM{QOS: Guaranteed, Request: Gi, Capacity: 4 * Gi}, -997},
		"best effort":                  {OOM{QOS: BestEffort, Capacity: 4 * Gi}, 1000},
		"node critical":                {OOM{QOS: BestEffort, NodeCritical: true}, -997},
		"quarter":                      {OOM{QOS: Burstable, Request: Gi, Capacity: 4 * Gi}, 750},
		"pod-level share":              {OOM{QOS: Burstable, Request: Gi, Extra: Gi, Capacity: 4 * Gi}, 500},
		"nothing":                      {OOM{QOS: Burstable, Capacity: 4 * Gi}, 999},
		"everything":                   {OOM{QOS: Burstable, Request: 4 * Gi, Capacity: 4 * Gi}, 3},
		"sidecar below the containers": {OOM{QOS: Burstable, Capacity: 4 * Gi, Sidecar: true, MinRegular: Gi}, 750},
		"sidecar above the containers": {OOM{QOS: Burstable, Request: 2 * Gi, Capacity: 4 * Gi, Sidecar: true, MinRegular: Gi}, 500},
	} {
		if got := OOMScoreAdj(c.o); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestPaths(t *testing.T) {
	n, err := PodName(Burstable, "12-34")
	if err != nil {
		t.Fatal(err)
	}
	for got, want := range map[string]string{
		n.Cgroupfs():            "/kubepods/burstable/pod12-34",
		n.Systemd():             "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12_34.slice",
		n.Under("/lifepod-1a"):  "/lifepod-1a/kubepods/burstable/pod12-34",
		n.Under(""):             "/kubepods/burstable/pod12-34",
		Name(nil).Cgroupfs():    "/",
		Name(nil).Systemd():     "/",
		TierName("").Cgroupfs(): "/kubepods",
		ContainerScope(n.Systemd(), "cri-lifepod", "c0ffee"):     n.Systemd() + "/cri-lifepod-c0ffee.scope",
		SystemdCgroupsPath(n.Systemd(), "cri-lifepod", "c0ffee"): "kubepods-burstable-pod12_34.slice:cri-lifepod:c0ffee",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, uid := range []string{"", "a/b", "../x", "a_b", "a\nb", strings.Repeat("x", 201)} {
		if _, err := PodName(Guaranteed, uid); err == nil {
			t.Errorf("uid %q was taken", uid)
		}
	}
}

func TestParsePod(t *testing.T) {
	for _, q := range []QOS{Guaranteed, Burstable, BestEffort} {
		n, _ := PodName(q, "12-34")
		if gotQ, uid, ok := ParsePod("/r", n.Under("/r")); gotQ != q || uid != "12-34" || !ok {
			t.Errorf("%s: %s %s %v", n.Under("/r"), gotQ, uid, ok)
		}
	}
	for _, p := range []string{"/r/kubepods", "/r/kubepods/burstable", "/kubepods/pod1", "/r/kubepods/pod1/c1", "/r/kubepods/pod", "/r/kubepodsx/pod1"} {
		if _, _, ok := ParsePod("/r", p); ok {
			t.Errorf("%s was taken for a pod's", p)
		}
	}
}

func FuzzParsePod(f *testing.F) {
	f.Add("/r", "/r/kubepods/burstable/pod1")
	f.Add("", "/kubepods/pod../x")
	f.Fuzz(func(t *testing.T, root, p string) {
		if q, uid, ok := ParsePod(root, p); ok && (uid == "" || strings.Contains(uid, "/") || q == "") {
			t.Fatalf("ParsePod(%q, %q) = %q, %q", root, p, q, uid)
		}
	})
}

func TestNoOverflowNearTheBounds(t *testing.T) {
	if MilliCPUToShares(math.MaxInt64/1024) != MaxShares || SharesToWeight(math.MaxUint64) != 10000 {
		t.Error("large numbers do not saturate")
	}
}
