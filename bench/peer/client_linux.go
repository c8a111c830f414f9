package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/uuid"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/bench/internal/stamped"
	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/internal/containerd"
	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/lifecycle/podcgroup"
	"github.com/lifepod/lifepod/lifecycle/podspec"
	"github.com/lifepod/lifepod/volume"
)

// client asks containerd for the pod, one call after another, with nothing in
// between: the least that a node agent has to do. The pod's cgroup and volumes
// are its part, as they are a kubelet's.
type client struct {
	d       *containerd.Daemon
	dir     string
	pod     *corev1.Pod // as admitted
	cgroups *cgroups.Manager
	cgroup  podcgroup.Options
	volumes *volume.Manager
}

func newClient(dir string, d *containerd.Daemon, template func(context.Context) (*corev1.Pod, error)) (*client, error) {
	p, err := template(context.Background())
	if err != nil {
		return nil, err
	}
	root := "/lifepod-" + local.RootID(dir)
	m, err := cgroups.Open(cgroups.Options{Root: root})
	if err != nil {
		return nil, err
	}
	return &client{
		d: d, dir: dir, pod: p, cgroups: m, cgroup: podcgroup.Options{Root: root, Cgroup2: m.Unified()},
		volumes: volume.New(volume.Options{}),
	}, nil
}

// one is a pod that runs.
type one struct {
	*client
	pod            *corev1.Pod
	dir, path      string
	box, container string
}

func (c *client) start(ctx context.Context, name string) (time.Duration, func(context.Context) error, error) {
	o := &one{client: c, pod: c.pod.DeepCopy()}
	o.pod.Name, o.pod.UID = name, uuid.NewUUID()
	o.dir = filepath.Join(c.dir, "pods", string(o.pod.UID))
	began := stamped.Now()
	mounted, err := o.prepare(ctx)
	if err != nil {
		return 0, nil, err
	}
	if err := o.create(ctx, mounted); err != nil {
		return 0, nil, err
	}
	if err := c.d.Runtime.StartContainer(ctx, o.container); err != nil {
		return 0, nil, err
	}
	at, err := stamped.At(o.dir)
	return at - began, o.remove, err
}

// prepare makes the cgroup and the volumes.
func (o *one) prepare(ctx context.Context) (map[string]volume.Mounted, error) {
	var err error
	if o.path, err = podcgroup.Path(o.pod, o.cgroup); err != nil {
		return nil, err
	}
	if err := o.cgroups.Ensure(ctx, o.path, podcgroup.Values(o.pod, o.cgroup)); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return nil, err
	}
	return o.volumes.SetUp(ctx, volume.Request{Pod: o.pod, Dir: o.dir, Objects: files{}})
}

// create makes the sandbox and the container in it.
func (o *one) create(ctx context.Context, mounted map[string]volume.Mounted) error {
	logs := filepath.Join(o.client.dir, "log")
	box, err := podspec.Sandbox(podspec.SandboxInput{Pod: o.pod, LogRoot: logs, CgroupParent: o.path})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(box.LogDirectory, "main"), 0o755); err != nil {
		return err
	}
	if o.box, err = o.d.Runtime.RunPodSandbox(ctx, box, ""); err != nil {
		return err
	}
	st, err := o.d.Runtime.PodSandboxStatus(ctx, o.box, false)
	if err != nil {
		return err
	}
	cfg, err := o.config(mounted, st.GetStatus().GetNetwork().GetIp())
	if err != nil {
		return err
	}
	o.container, err = o.d.Runtime.CreateContainer(ctx, o.box, cfg, box)
	return err
}

func (o *one) config(mounted map[string]volume.Mounted, ip string) (*runtimeapi.ContainerConfig, error) {
	hosts, err := podspec.HostsFile(o.pod, []string{ip}, "", nil)
	if err != nil {
		return nil, err
	}
	in := podspec.ContainerInput{
		Pod: o.pod, Container: &o.pod.Spec.Containers[0], ImageRef: o.pod.Spec.Containers[0].Image,
		Volumes: map[string]podspec.Source{}, HostsFile: filepath.Join(o.dir, "etc-hosts"), TerminationLog: filepath.Join(o.dir, "last-words"),
	}
	for file, content := range map[string][]byte{in.HostsFile: hosts, in.TerminationLog: nil} {
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return nil, err
		}
	}
	for name, m := range mounted {
		in.Volumes[name] = podspec.Source{HostPath: m.Path, ReadOnly: m.ReadOnly}
	}
	r := podcgroup.Container(o.pod, in.Container, o.cgroup)
	in.Resources = &runtimeapi.LinuxContainerResources{
		CpuShares: r.CPUShares, CpuQuota: r.CPUQuota, CpuPeriod: r.CPUPeriod, Unified: r.Unified,
		MemoryLimitInBytes: r.MemoryLimit, MemorySwapLimitInBytes: r.MemorySwap, OomScoreAdj: r.OOMScoreAdj,
	}
	return podspec.Container(in)
}

// remove ends the pod and takes away everything that it had.
func (o *one) remove(ctx context.Context) error {
	rt := o.d.Runtime
	for _, f := range []func() error{
		func() error { return rt.StopContainer(ctx, o.container, 5) },
		func() error { return rt.StopPodSandbox(ctx, o.box) },
		func() error { return rt.RemoveContainer(ctx, o.container) },
		func() error { return rt.RemovePodSandbox(ctx, o.box) },
		func() error { return o.volumes.TearDown(ctx, o.dir) },
		func() error { return o.cgroups.Remove(ctx, o.path) },
		func() error { return o.cgroups.Prune(ctx, filepath.Dir(o.path)) },
		func() error { return os.RemoveAll(o.dir) },
	} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// files is the pod's config map.
type files struct{}

func (files) ConfigMap(context.Context, string, string) (*corev1.ConfigMap, error) {
	return &corev1.ConfigMap{Data: map[string]string{"token": "a", "ca.crt": "b", "namespace": "c"}}, nil
}

func (files) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	return nil, apierrors.NewNotFound(corev1.Resource("secrets"), name)
}
