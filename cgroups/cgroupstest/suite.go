package cgroupstest

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/lifepod/lifepod/cgroups"
)

// Manager is what the suite asks of an implementation.
type Manager interface {
	Ensure(ctx context.Context, path string, v cgroups.Values) error
	Remove(ctx context.Context, path string) error
	Limits(ctx context.Context, path string) (cgroups.Values, error)
	Stats(ctx context.Context, path string) (cgroups.Stats, error)
	List(ctx context.Context, path string) ([]string, error)
}

// Impl is one implementation under test.
type Impl struct {
	Manager Manager
	// Root is a cgroup that only this test uses.
	Root string
	// Join puts a new process into a cgroup that exists and says whether it lives.
	Join func(t *testing.T, path string) (alive func() bool)
}

// Run holds an implementation to the contract. Each subtest gets a new one.
func Run(t *testing.T, newImpl func(t *testing.T) Impl) {
	for name, test := range map[string]func(t *testing.T, i Impl, pod string){
		"LimitsAreKept":        limitsAreKept,
		"NilLeavesAlone":       nilLeavesAlone,
		"EnsureTwice":          ensureTwice,
		"AncestorsAreMade":     ancestorsAreMade,
		"BadValuesMakeNothing": badValuesMakeNothing,
		"BadPaths":             badPaths,
		"RemoveOfNothing":      removeOfNothing,
		"RemoveKills":          removeKills,
		"RemoveOfATree":        removeOfATree,
		"RemoveWithoutTime":    removeWithoutTime,
		"StatsCountProcesses":  statsCountProcesses,
		"AbsentIsNotExist":     absentIsNotExist,
		"List":                 list,
		"Together":             together,
	} {
		t.Run(name, func(t *testing.T) {
			i := newImpl(t)
			t.Cleanup(func() { must(t, i.Manager.Remove(context.Background(), i.Root)) })
			test(t, i, i.Root+"/kubepods/burstable/pod1-2-3")
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ptr[T any](v T) *T { return &v }

// Full are limits of every kind that each machine has.
func Full() cgroups.Values {
	return cgroups.Values{
		CPUShares: ptr[uint64](1024), CPUQuota: ptr[int64](50_000), CPUPeriod: ptr[uint64](100_000),
		Memory: ptr[int64](64 << 20), PidsMax: ptr[int64](100),
	}
}

func hasLimits(t testing.TB, i Impl, path string, shares uint64, quota, memory, pids int64) {
	t.Helper()
	v, err := i.Manager.Limits(t.Context(), path)
	must(t, err)
	// Shares come back through the coarser weight on v2, whose default is another
	// one.
	if near := shares == 0 || *v.CPUShares <= shares && *v.CPUShares+27 > shares; !near || *v.CPUQuota != quota || *v.Memory != memory || *v.PidsMax != pids {
		t.Errorf("limits of %s are shares %d, quota %d, memory %d, pids %d; want %d, %d, %d, %d",
			path, *v.CPUShares, *v.CPUQuota, *v.Memory, *v.PidsMax, shares, quota, memory, pids)
	}
}

func limitsAreKept(t *testing.T, i Impl, pod string) {
	must(t, i.Manager.Ensure(t.Context(), pod, Full()))
	hasLimits(t, i, pod, 1024, 50_000, 64<<20, 100)
	none := Full()
	none.CPUQuota, none.Memory, none.PidsMax = ptr[int64](-1), ptr[int64](-1), ptr[int64](-1)
	must(t, i.Manager.Ensure(t.Context(), pod, none))
	hasLimits(t, i, pod, 1024, -1, -1, -1)
}

func nilLeavesAlone(t *testing.T, i Impl, pod string) {
	must(t, i.Manager.Ensure(t.Context(), pod, Full()))
	must(t, i.Manager.Ensure(t.Context(), pod, cgroups.Values{Memory: ptr[int64](32 << 20)}))
	hasLimits(t, i, pod, 1024, 50_000, 32<<20, 100)
	must(t, i.Manager.Ensure(t.Context(), pod, cgroups.Values{CPUQuota: ptr[int64](0), Memory: ptr[int64](0)}))
	hasLimits(t, i, pod, 1024, 50_000, 32<<20, 100)
}

func ensureTwice(t *testing.T, i Impl, pod string) {
	for range 2 {
		must(t, i.Manager.Ensure(t.Context(), pod, Full()))
	}
	// A shorter period with a larger share: old and new do not mix.
	v := Full()
	v.CPUQuota, v.CPUPeriod = ptr[int64](5_000), ptr[uint64](5_000)
	must(t, i.Manager.Ensure(t.Context(), pod, v))
	hasLimits(t, i, pod, 1024, 5_000, 64<<20, 100)
}

func ancestorsAreMade(t *testing.T, i Impl, pod string) {
	must(t, i.Manager.Ensure(t.Context(), pod, Full()))
	hasLimits(t, i, i.Root+"/kubepods", 0, -1, -1, -1)
	// A tier can be limited when it already has pods.
	must(t, i.Manager.Ensure(t.Context(), i.Root+"/kubepods/burstable", cgroups.Values{CPUShares: ptr[uint64](2048)}))
	hasLimits(t, i, i.Root+"/kubepods/burstable", 2048, -1, -1, -1)
}

func badValuesMakeNothing(t *testing.T, i Impl, pod string) {
	for name, v := range map[string]cgroups.Values{
		"shares 1":       {CPUShares: ptr[uint64](1)},
		"shares 300000":  {CPUShares: ptr[uint64](300_000)},
		"quota 10":       {CPUQuota: ptr[int64](10)},
		"quota -2":       {CPUQuota: ptr[int64](-2)},
		"period 10":      {CPUQuota: ptr[int64](2000), CPUPeriod: ptr[uint64](10)},
		"period alone":   {CPUPeriod: ptr[uint64](5000)},
		"memory -2":      {Memory: ptr[int64](-2)},
		"pids -2":        {PidsMax: ptr[int64](-2)},
		"huge pages 3XB": {HugePages: map[string]int64{"3XB": 1}},
		"file escapes":   {Unified: map[string]string{"memory.low/../../x": "1"}},
		"moves":          {Unified: map[string]string{"cgroup.procs": "1"}},
		"no file":        {Unified: map[string]string{"memory": "1"}},
	} {
		if err := i.Manager.Ensure(t.Context(), pod, v); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if paths, err := i.Manager.List(t.Context(), i.Root); err != nil || len(paths) > 0 {
		t.Errorf("bad values made %v (%v)", paths, err)
	}
}

func badPaths(t *testing.T, i Impl, _ string) {
	for _, p := range []string{"", "/", "relative", i.Root + "/../x", i.Root + "/a//b", i.Root + "/a/", i.Root + "x", i.Root + "/a\nb"} {
		if i.Manager.Ensure(t.Context(), p, cgroups.Values{}) == nil {
			t.Errorf("Ensure took %q", p)
		}
		if i.Manager.Remove(t.Context(), p) == nil {
			t.Errorf("Remove took %q", p)
		}
		if _, err := i.Manager.Stats(t.Context(), p); err == nil {
			t.Errorf("Stats took %q", p)
		}
	}
}

func removeOfNothing(t *testing.T, i Impl, pod string) {
	must(t, i.Manager.Remove(t.Context(), pod))
	must(t, i.Manager.Ensure(t.Context(), pod, Full()))
	must(t, i.Manager.Remove(t.Context(), pod))
	must(t, i.Manager.Remove(t.Context(), pod))
	if paths, err := i.Manager.List(t.Context(), i.Root+"/kubepods/burstable"); err != nil || len(paths) > 0 {
		t.Errorf("left %v (%v)", paths, err)
	}
}

func removeKills(t *testing.T, i Impl, pod string) {
	must(t, i.Manager.Ensure(t.Context(), pod, Full()))
	must(t, i.Manager.Ensure(t.Context(), pod+"/c1", cgroups.Values{}))
	a, b := i.Join(t, pod+"/c1"), i.Join(t, pod+"/c1")
	other := i.Root + "/kubepods/pod4"
	must(t, i.Manager.Ensure(t.Context(), other, cgroups.Values{}))
	c := i.Join(t, other)
	must(t, i.Manager.Remove(t.Context(), pod))
	if a() || b() {
		t.Error("a process outlived its cgroup")
	}
	if !c() {
		t.Error("a process of another cgroup was killed")
	}
}

func removeOfATree(t *testing.T, i Impl, pod string) {
	for _, p := range []string{pod + "/a/b/c", pod + "/a/d", pod + "/e"} {
		must(t, i.Manager.Ensure(t.Context(), p, cgroups.Values{}))
	}
	alive := i.Join(t, pod+"/a/b/c")
	must(t, i.Manager.Remove(t.Context(), i.Root))
	if alive() {
		t.Error("a process outlived its cgroup")
	}
	if _, err := i.Manager.Stats(t.Context(), pod); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stats of what was removed: %v", err)
	}
}

func removeWithoutTime(t *testing.T, i Impl, pod string) {
	must(t, i.Manager.Ensure(t.Context(), pod, Full()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := i.Manager.Remove(ctx, pod); !errors.Is(err, context.Canceled) {
		t.Errorf("Remove without time: %v", err)
	}
	if err := i.Manager.Ensure(ctx, pod, Full()); !errors.Is(err, context.Canceled) {
		t.Errorf("Ensure without time: %v", err)
	}
}

func statsCountProcesses(t *testing.T, i Impl, pod string) {
	must(t, i.Manager.Ensure(t.Context(), pod, Full()))
	must(t, i.Manager.Ensure(t.Context(), pod+"/c1", cgroups.Values{}))
	i.Join(t, pod+"/c1")
	i.Join(t, pod+"/c1")
	s, err := i.Manager.Stats(t.Context(), pod)
	must(t, err)
	if s.Pids != 2 || s.MemoryLimit != 64<<20 || time.Since(s.Time) > time.Hour || s.OOMKills != 0 || s.MemoryWorkingSet > s.MemoryUsage {
		t.Errorf("stats %+v", s)
	}
}

func absentIsNotExist(t *testing.T, i Impl, pod string) {
	if _, err := i.Manager.Stats(t.Context(), pod); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stats: %v", err)
	}
	if _, err := i.Manager.Limits(t.Context(), pod); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Limits: %v", err)
	}
	if paths, err := i.Manager.List(t.Context(), pod); err != nil || len(paths) > 0 {
		t.Errorf("List: %v, %v", paths, err)
	}
}

func list(t *testing.T, i Impl, _ string) {
	top := i.Root + "/kubepods"
	for _, n := range []string{"/podb", "/poda", "/burstable/podc"} {
		must(t, i.Manager.Ensure(t.Context(), top+n, cgroups.Values{}))
	}
	paths, err := i.Manager.List(t.Context(), top)
	if want := []string{top + "/burstable", top + "/poda", top + "/podb"}; err != nil || !slices.Equal(paths, want) {
		t.Errorf("%v (%v), want %v", paths, err, want)
	}
}

// together makes and removes pods side by side, each seeing only its own.
func together(t *testing.T, i Impl, pod string) {
	errs := make(chan error)
	const pods = 8
	for n := range pods {
		go func() {
			p := pod + string(rune('a'+n))
			errs <- errors.Join(
				i.Manager.Ensure(t.Context(), p, Full()), i.Manager.Remove(t.Context(), p),
				i.Manager.Ensure(t.Context(), p, Full()), i.Manager.Remove(t.Context(), p))
		}()
	}
	for range pods {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
