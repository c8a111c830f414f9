package lifecycle

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/lifecycle/plan"
	"github.com/lifepod/lifepod/lifecycle/podcgroup"
	"github.com/lifepod/lifepod/lifecycle/podspec"
	"github.com/lifepod/lifepod/pod"
)

// Reasons of a container that waits because it could not be started.
const (
	reasonConfig = podspec.ReasonContainerConfig
	reasonCreate = "CreateContainerError"
	reasonRun    = "RunContainerError"
)

// startContainer creates and starts one instance.
func (w *worker) startContainer(ctx context.Context, a plan.StartContainer) plan.Result {
	c := w.spec(a.Name)
	if c == nil {
		return plan.Result{Err: failure(reasonConfig, fmt.Errorf("pod %s has no container %q", w.name(), a.Name))}
	}
	cfg, err := w.containerConfig(ctx, c, a)
	if err != nil {
		return plan.Result{Err: failure(reasonConfig, err)}
	}
	box, err := w.sandboxConfig(w.sandboxAttempt(a.SandboxID), false)
	if err != nil {
		return plan.Result{Err: failure(reasonConfig, err)}
	}
	if err := makeDir(filepath.Dir(filepath.Join(box.LogDirectory, cfg.LogPath)), 0o755); err != nil {
		return plan.Result{Err: failure(reasonCreate, err)}
	}
	id, err := w.r.Runtime.CreateContainer(ctx, a.SandboxID, cfg, box)
	if err != nil {
		return plan.Result{Err: callFailure(reasonCreate, err)}
	}
	if err := w.r.Runtime.StartContainer(ctx, id); err != nil {
		f := callFailure(reasonRun, err)
		f.Reason = reasonRun // a StartError is the container's own reason
		return plan.Result{ID: id, Err: f}
	}
	return plan.Result{ID: id}
}

// containerConfig resolves everything that the container refers to.
func (w *worker) containerConfig(ctx context.Context, c *corev1.Container, a plan.StartContainer) (*runtimeapi.ContainerConfig, error) {
	env, err := w.env(ctx, c)
	if err != nil {
		return nil, err
	}
	subs, err := w.subPaths(ctx, c, env)
	if err != nil {
		return nil, err
	}
	img, err := w.r.Images.ImageStatus(ctx, imageSpec(a.ImageRef), false)
	if err != nil {
		return nil, err
	}
	hosts, err := w.hostsFile()
	if err != nil {
		return nil, err
	}
	words, err := w.terminationLog(c, a.Attempt)
	if err != nil {
		return nil, err
	}
	return podspec.Container(podspec.ContainerInput{
		Pod: w.pod(), Container: c, Attempt: a.Attempt, ImageRef: a.ImageRef, Image: img.GetImage(),
		Env: env, Volumes: w.sources(), SubPaths: subs, HostsFile: hosts, TerminationLog: words,
		Resources: w.resources(c), RecursiveReadOnly: w.r.node.RecursiveReadOnly,
		MaskedPaths: w.r.thermal(), SeccompRoot: filepath.Join(filepath.Dir(w.r.Dir), "seccomp"),
	})
}

func (w *worker) env(ctx context.Context, c *corev1.Container) ([]podspec.EnvVar, error) {
	maps, secrets := podspec.References(c)
	in := podspec.EnvInput{
		Pod: w.pod(), Container: c, HostIPs: w.r.node.HostIPs, PodIPs: w.podIPs(), Allocatable: w.r.node.Allocatable,
	}
	var err error
	if in.ConfigMaps, err = lookUp(ctx, w.pod().Namespace, maps, w.r.objects().ConfigMap); err != nil {
		return nil, err
	}
	if in.Secrets, err = lookUp(ctx, w.pod().Namespace, secrets, w.r.objects().Secret); err != nil {
		return nil, err
	}
	return podspec.Env(in)
}

// resources are the limits of the container's own cgroup.
func (w *worker) resources(c *corev1.Container) *runtimeapi.LinuxContainerResources {
	v := podcgroup.Container(w.pod(), c, w.r.Cgroup)
	out := &runtimeapi.LinuxContainerResources{
		CpuShares: v.CPUShares, CpuQuota: v.CPUQuota, CpuPeriod: v.CPUPeriod, Unified: v.Unified,
		MemoryLimitInBytes: v.MemoryLimit, MemorySwapLimitInBytes: v.MemorySwap, OomScoreAdj: v.OOMScoreAdj,
	}
	for _, size := range slices.Sorted(maps.Keys(v.HugePages)) {
		out.HugepageLimits = append(out.HugepageLimits, &runtimeapi.HugepageLimit{
			PageSize: size, Limit: uint64(v.HugePages[size]), //nolint:gosec // never negative
		})
	}
	return out
}

// spec finds a container of the pod by name.
func (w *worker) spec(name string) *corev1.Container {
	c, _ := pod.Find(&w.pod().Spec, name)
	return c
}

// podIPs are the pod's addresses as its last status has them: the sandbox is
// there before any container.
func (w *worker) podIPs() []string {
	var ips []string
	for _, ip := range w.lastStatus().PodIPs {
		ips = append(ips, ip.IP)
	}
	return ips
}

func (w *worker) podIP() string {
	if ips := w.podIPs(); len(ips) > 0 {
		return ips[0]
	}
	return ""
}

// thermal lists the paths that are masked on this machine beside the usual.
func (r *Runner) thermal() []string {
	r.thermalOnce.Do(func() { r.thermalPaths = podspec.ThermalPaths(os.DirFS("/")) })
	return r.thermalPaths
}
