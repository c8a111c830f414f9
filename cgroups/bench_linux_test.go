package cgroups_test

import (
	"testing"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/cgroups/cgroupstest"
)

func BenchmarkManager(b *testing.B) { cgroupstest.Bench(b, cgroups.Open) }

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		if _, err := cgroups.Open(cgroups.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
