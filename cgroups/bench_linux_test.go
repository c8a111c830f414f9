package cgroups_test

import (
	"testing"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/cgroups/cgroupstest"
)

func limits() cgroups.Values {
	return cgroups.Values{
		CPUShares: ptr[uint64](256), CPUQuota: ptr[int64](50_000), CPUPeriod: ptr[uint64](100_000),
		Memory: ptr[int64](64 << 20), PidsMax: ptr[int64](1024),
	}
}

func BenchmarkManager(b *testing.B) {
	cgroupstest.Bench(b, func(t testing.TB) (cgroupstest.Manager, string) { return open(t) })
}

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		if _, err := cgroups.Open(cgroups.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
