package cgroupstest

import (
	"context"
	"fmt"
	"testing"

	"github.com/lifepod/lifepod/cgroups"
)

// Bench measures an implementation on this machine's cgroups: Ensure and Remove
// are what a pod's start and removal cost, a new cgroup below a tier that exists,
// and its removal with nothing in it; Refresh sets a limit of what is there.
func Bench[M Manager](b *testing.B, open func(cgroups.Options) (M, error)) {
	m, root := Open(b, open)
	tier := root + "/kubepods/burstable"
	must(b, m.Ensure(b.Context(), tier, cgroups.Values{}))
	b.Run("Ensure", func(b *testing.B) {
		for i := range b.N {
			p := fmt.Sprintf("%s/pod%d", tier, i)
			must(b, m.Ensure(b.Context(), p, Full()))
			b.StopTimer()
			must(b, m.Remove(b.Context(), p))
			b.StartTimer()
		}
	})
	b.Run("Remove", func(b *testing.B) { BenchRemove(b, m, tier, m.Remove) })
	b.Run("Refresh", func(b *testing.B) {
		for b.Loop() {
			must(b, m.Ensure(b.Context(), tier, cgroups.Values{CPUShares: ptr[uint64](2048)}))
		}
	})
	b.Run("Stats", func(b *testing.B) {
		pod := tier + "/measured"
		must(b, m.Ensure(b.Context(), pod, Full()))
		for b.Loop() {
			_, err := m.Stats(b.Context(), pod)
			must(b, err)
		}
	})
}

// BenchRemove measures how long remove takes for a new cgroup below tier.
func BenchRemove(b *testing.B, m Manager, tier string, remove func(ctx context.Context, path string) error) {
	for i := range b.N {
		b.StopTimer()
		p := fmt.Sprintf("%s/pod%d", tier, i)
		must(b, m.Ensure(b.Context(), p, Full()))
		b.StartTimer()
		must(b, remove(b.Context(), p))
		b.StopTimer()
		must(b, m.Remove(b.Context(), p))
		b.StartTimer()
	}
}
