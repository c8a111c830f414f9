package cgroups_test

import (
	"os"
	"testing"

	"github.com/lifepod/lifepod/cgroups"
)

func TestCountsSwap(t *testing.T) {
	m, root := open(t)
	before := m.CountsSwap()
	if err := m.Ensure(t.Context(), root+"/pod1", cgroups.Values{}); err != nil {
		t.Fatal(err)
	}
	file := "/sys/fs/cgroup/memory" + root + "/pod1/memory.memsw.limit_in_bytes"
	if m.Unified() {
		file = "/sys/fs/cgroup" + root + "/pod1/memory.swap.max"
	}
	_, err := os.Stat(file)
	if want := err == nil; before != want || m.CountsSwap() != want {
		t.Errorf("it says %v, then %v; %s: %v", before, m.CountsSwap(), file, err)
	}
}
