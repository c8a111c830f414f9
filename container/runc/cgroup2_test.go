//go:build linux

package runc_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc"
	"github.com/lifepod/lifepod/internal/testutil"
)

// group is the directory of a cgroup of p's, on v2.
func (p *place) group(name string) string {
	return filepath.Join("/sys/fs/cgroup/lifepod-"+runc.RootID(p.dir), name)
}

func content(t *testing.T, dir, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Error(err)
	}
	return strings.TrimSpace(string(b))
}

// What a spec limits is in the kernel's v2 files, and what runs in the container
// is in its one cgroup, beside the supervisor's.
func TestCgroup2Limits(t *testing.T) {
	testutil.RequireCgroup2(t)
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	shares, quota, period, memory, pids := uint64(512), int64(50000), uint64(100000), int64(64<<20), int64(60)
	spec := container.Spec{ID: "a", OCI: p.oci("a", "/testbox", "sleep", "1h"), Log: p.dir + "/logs/a.log"}
	spec.OCI.Linux.Resources = &specs.LinuxResources{
		CPU:     &specs.LinuxCPU{Shares: &shares, Quota: &quota, Period: &period},
		Memory:  &specs.LinuxMemory{Limit: &memory},
		Pids:    &specs.LinuxPids{Limit: &pids},
		Unified: map[string]string{"memory.oom.group": "1", "memory.low": "1048576"},
	}
	p.startSpec(r, spec)
	dir := p.group("a")
	for file, want := range map[string]string{
		"cpu.weight": "59", "cpu.max": "50000 100000", "memory.max": "67108864", "pids.max": "60", // 512 shares, by the runtimes' formula
		"memory.oom.group": "1", "memory.low": "1048576", "cgroup.type": "domain",
		"cgroup.procs": fmt.Sprint(p.state(r, "a").Pid),
	} {
		if got := content(t, dir, file); got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
	if got := content(t, dir, "cgroup.controllers"); !strings.Contains(got, "cpu") || !strings.Contains(got, "memory") || !strings.Contains(got, "pids") {
		t.Errorf("it has the controllers %s", got)
	}
	if got := content(t, p.group("supervisor"), "cgroup.procs"); got != fmt.Sprint(p.supervisor()) {
		t.Errorf("in the supervisor's cgroup is %q, want %d", got, p.supervisor())
	}
	if out := p.exec(r, nil, "read", "/proc/self/cgroup"); !strings.HasSuffix(out, "/a\n") {
		t.Errorf("an exec is in %q", out)
	}
	less := int64(48 << 20)
	update := &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &less}, Unified: map[string]string{"memory.low": "0"}}
	if err := r.Update(context.Background(), "a", update); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"memory.max": "50331648", "memory.low": "0", "memory.oom.group": "1", "cpu.weight": "59", "pids.max": "60"} {
		if got := content(t, dir, file); got != want {
			t.Errorf("after the update %s is %q, want %q", file, got, want)
		}
	}
}

// With memory.oom.group a container that takes too much dies as a whole, else
// only the process that took it. Both are counted where it happened.
func TestCgroup2OOMGroup(t *testing.T) {
	testutil.RequireCgroup2(t)
	p := newPlace(t)
	p.usePrebuilt()
	r := p.open()
	memory := int64(64 << 20)
	start := func(group string) container.Spec {
		spec := container.Spec{ID: "g" + group, OCI: p.oci("g"+group, "/testbox", "mem"), Log: p.dir + "/logs/" + group}
		spec.OCI.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &memory}
		spec.OCI.Linux.Resources.Unified = map[string]string{"memory.oom.group": group}
		p.startSpec(r, spec)
		return spec
	}
	start("1")
	if st := p.awaitStop(r, "g1"); st.ExitCode != 137 || !st.OOMKilled || st.ExitUnknown {
		t.Errorf("with memory.oom.group: %+v", st)
	}
	if got := content(t, p.group("g1"), "memory.events"); !strings.Contains(got, "oom_group_kill 1") {
		t.Errorf("its memory.events: %s", got)
	}
	p.awaitLog(start("0"), "child: signal: killed")
	if st := p.state(r, "g0"); st.Status != container.Running || !st.OOMKilled {
		t.Errorf("without: %+v", st)
	}
	if got := content(t, p.group("g0"), "memory.events"); !strings.Contains(got, "oom_kill 1") || !strings.Contains(got, "oom_group_kill 0") {
		t.Errorf("its memory.events: %s", got)
	}
	if err := r.Signal(context.Background(), "g0", unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if st := p.awaitStop(r, "g0"); st.ExitCode != 137 {
		t.Errorf("in the end: %+v", st)
	}
}

// hierarchies is a pattern of where cgroups may lie.
func hierarchies() string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return "/sys/fs/cgroup"
	}
	return "/sys/fs/cgroup/*"
}
