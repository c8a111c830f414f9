package cri

import (
	"context"
	"errors"
	"os"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/container"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ContainerStats measures one container.
func (r *Runtime) ContainerStats(ctx context.Context, id string) (*runtimeapi.ContainerStats, error) {
	c, err := r.container(id)
	if err != nil {
		return nil, err
	}
	return r.containerStats(ctx, c)
}

// ListContainerStats measures the running containers that f selects. One that
// ends meanwhile is left out.
func (r *Runtime) ListContainerStats(ctx context.Context, f *runtimeapi.ContainerStatsFilter) ([]*runtimeapi.ContainerStats, error) {
	return r.statsOf(ctx, func(c *ctr) bool {
		return (f.GetId() == "" || f.GetId() == c.ID) && (f.GetPodSandboxId() == "" || f.GetPodSandboxId() == c.Sandbox) &&
			selects(f.GetLabelSelector(), c.Config.GetLabels())
	})
}

func (r *Runtime) statsOf(ctx context.Context, want func(*ctr) bool) ([]*runtimeapi.ContainerStats, error) {
	all, err := r.listContainers(ctx, want)
	if err != nil {
		return nil, err
	}
	var out []*runtimeapi.ContainerStats
	for _, l := range all {
		if l.st.Status != container.Running {
			continue
		}
		s, err := r.containerStats(ctx, l.rec)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func (r *Runtime) containerStats(ctx context.Context, c *ctr) (*runtimeapi.ContainerStats, error) {
	s, err := r.measure(ctx, c.Cgroup)
	if err != nil {
		return nil, wrap(err, "measure container %s", c.ID)
	}
	cfg := proto.CloneOf(c.Config)
	return &runtimeapi.ContainerStats{
		Attributes: &runtimeapi.ContainerAttributes{Id: c.ID, Metadata: cfg.GetMetadata(), Labels: cfg.GetLabels(), Annotations: cfg.GetAnnotations()},
		Cpu:        cpu(s), Memory: memory(s), Io: ioUsage(s),
	}, nil
}

func (r *Runtime) measure(ctx context.Context, cgroup string) (cgroups.Stats, error) {
	if r.o.Cgroups == nil {
		return cgroups.Stats{}, unimplemented("measuring without Options.Cgroups")
	}
	return r.o.Cgroups.Stats(ctx, cgroup)
}

func number(v uint64) *runtimeapi.UInt64Value { return &runtimeapi.UInt64Value{Value: v} }

func cpu(s cgroups.Stats) *runtimeapi.CpuUsage {
	return &runtimeapi.CpuUsage{Timestamp: s.Time.UnixNano(), UsageCoreNanoSeconds: number(uint64(s.CPU)), Psi: psi(s.CPUPressure)}
}

func memory(s cgroups.Stats) *runtimeapi.MemoryUsage {
	m := &runtimeapi.MemoryUsage{
		Timestamp: s.Time.UnixNano(), WorkingSetBytes: number(s.MemoryWorkingSet), UsageBytes: number(s.MemoryUsage),
		RssBytes: number(s.MemoryRSS), Psi: psi(s.MemoryPressure),
	}
	if s.MemoryLimit > 0 && s.MemoryLimit < 1<<60 { // else there is none
		m.AvailableBytes = number(s.MemoryLimit - min(s.MemoryLimit, s.MemoryWorkingSet))
	}
	return m
}

func ioUsage(s cgroups.Stats) *runtimeapi.IoUsage {
	if s.IOPressure == nil {
		return nil
	}
	return &runtimeapi.IoUsage{Timestamp: s.Time.UnixNano(), Psi: psi(s.IOPressure)}
}

// psi is in nanoseconds, the kernel counts microseconds.
func psi(p *cgroups.Pressure) *runtimeapi.PsiStats {
	if p == nil {
		return nil
	}
	return &runtimeapi.PsiStats{
		Some: &runtimeapi.PsiData{Avg10: p.SomeAvg10, Total: p.SomeTotal * 1000},
		Full: &runtimeapi.PsiData{Avg10: p.FullAvg10, Total: p.FullTotal * 1000},
	}
}

// PodSandboxStats measures a pod: its parent cgroup and its containers.
func (r *Runtime) PodSandboxStats(ctx context.Context, id string) (*runtimeapi.PodSandboxStats, error) {
	s, err := r.sandbox(id)
	if err != nil {
		return nil, err
	}
	return r.podStats(ctx, s)
}

// ListPodSandboxStats measures the ready sandboxes that f selects.
func (r *Runtime) ListPodSandboxStats(ctx context.Context, f *runtimeapi.PodSandboxStatsFilter) ([]*runtimeapi.PodSandboxStats, error) {
	all, err := r.selectSandboxes(f.GetId(), f.GetLabelSelector())
	if err != nil {
		return nil, err
	}
	var out []*runtimeapi.PodSandboxStats
	for _, s := range all {
		if ok, _ := r.live(ctx, s); !ok {
			continue
		}
		st, err := r.podStats(ctx, s)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, st)
	}
	return out, nil
}

func (r *Runtime) podStats(ctx context.Context, s *sandbox) (*runtimeapi.PodSandboxStats, error) {
	pod, err := r.measure(ctx, s.Cgroup)
	if err != nil {
		return nil, wrap(err, "measure sandbox %s", s.ID)
	}
	cs, err := r.statsOf(ctx, func(c *ctr) bool { return c.Sandbox == s.ID })
	if err != nil {
		return nil, err
	}
	cfg := proto.CloneOf(s.Config)
	return &runtimeapi.PodSandboxStats{
		Attributes: &runtimeapi.PodSandboxAttributes{Id: s.ID, Metadata: cfg.GetMetadata(), Labels: cfg.GetLabels(), Annotations: cfg.GetAnnotations()},
		Linux: &runtimeapi.LinuxPodSandboxStats{
			Cpu: cpu(pod), Memory: memory(pod), Io: ioUsage(pod), Containers: cs, Network: r.networkUsage(s),
			Process: &runtimeapi.ProcessUsage{Timestamp: pod.Time.UnixNano(), ProcessCount: number(pod.Pids)},
		},
	}, nil
}
