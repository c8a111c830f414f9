package containerd_test

import (
	"context"
	"testing"

	"github.com/lifepod/lifepod/cgroups/cgroupstest"
	"github.com/lifepod/lifepod/cgroups/containerd"
)

func BenchmarkManager(b *testing.B) { cgroupstest.Bench(b, containerd.Open) }

// BenchmarkLibraryDelete is what removal would cost by the library.
func BenchmarkLibraryDelete(b *testing.B) {
	m, root := manager(b)
	cgroupstest.BenchRemove(b, m, root+"/kubepods/burstable", func(_ context.Context, p string) error { return libraryDelete(m.Unified(), p) })
}
