package cgroups_test

import (
	"fmt"
	"testing"

	"github.com/lifepod/lifepod/cgroups"
)

func limits() cgroups.Values {
	return cgroups.Values{
		CPUShares: ptr[uint64](256), CPUQuota: ptr[int64](50_000), CPUPeriod: ptr[uint64](100_000),
		Memory: ptr[int64](64 << 20), PidsMax: ptr[int64](1024),
	}
}

// BenchmarkPod is what a pod's start and removal cost here: a new cgroup below a
// tier that exists, and its removal with nothing in it.
func BenchmarkPod(b *testing.B) {
	m, root := open(b)
	if err := m.Ensure(b.Context(), root+"/kubepods/burstable", cgroups.Values{}); err != nil {
		b.Fatal(err)
	}
	for _, part := range []string{"Ensure", "Remove"} {
		b.Run(part, func(b *testing.B) {
			for i := range b.N {
				p := fmt.Sprintf("%s/kubepods/burstable/pod%d", root, i)
				if part == "Remove" {
					b.StopTimer()
				}
				if err := m.Ensure(b.Context(), p, limits()); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if part == "Remove" {
					b.StartTimer()
				}
				if err := m.Remove(b.Context(), p); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

func BenchmarkRefresh(b *testing.B) {
	m, root := open(b)
	p := root + "/kubepods/burstable"
	for b.Loop() {
		if err := m.Ensure(b.Context(), p, cgroups.Values{CPUShares: ptr[uint64](2048)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStats(b *testing.B) {
	m, root := open(b)
	if err := m.Ensure(b.Context(), root+"/pod1", limits()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := m.Stats(b.Context(), root+"/pod1"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		if _, err := cgroups.Open(cgroups.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
