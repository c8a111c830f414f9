package containerd_test

import (
	"fmt"
	"testing"

	"github.com/lifepod/lifepod/cgroups"
)

// BenchmarkPod is what a pod's start and removal cost here, as in package cgroups;
// LibraryDelete is what removal would cost by the library.
func BenchmarkPod(b *testing.B) {
	m, root := manager(b)
	if err := m.Ensure(b.Context(), root+"/kubepods/burstable", cgroups.Values{}); err != nil {
		b.Fatal(err)
	}
	for _, part := range []string{"Ensure", "Remove", "LibraryDelete"} {
		b.Run(part, func(b *testing.B) {
			for i := range b.N {
				p := fmt.Sprintf("%s/kubepods/burstable/pod%d", root, i)
				if part != "Ensure" {
					b.StopTimer()
				}
				if err := m.Ensure(b.Context(), p, limits()); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if part != "Ensure" {
					b.StartTimer()
				}
				if part == "LibraryDelete" {
					if err := libraryDelete(m.Unified(), p); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
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
	m, root := manager(b)
	p := root + "/kubepods/burstable"
	for b.Loop() {
		if err := m.Ensure(b.Context(), p, cgroups.Values{CPUShares: ptr[uint64](2048)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStats(b *testing.B) {
	m, root := manager(b)
	if err := m.Ensure(b.Context(), root+"/pod1", limits()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := m.Stats(b.Context(), root+"/pod1"); err != nil {
			b.Fatal(err)
		}
	}
}
