package cri

import (
	"context"
	"errors"
	"time"

	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/netns"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Parts of a sandbox's directory.
const (
	dirNamespaces = "ns"
	dirShm        = "shm"
	fileHostname  = "hostname"
	fileHosts     = "hosts"
	fileResolv    = "resolv.conf"
)

// RunPodSandbox makes namespaces, network and files of a pod. After an error
// nothing is left, unless the network could not be taken down: then the sandbox
// is listed as not ready, for StopPodSandbox to try again.
func (r *Runtime) RunPodSandbox(ctx context.Context, config *runtimeapi.PodSandboxConfig, handler string) (id string, err error) {
	ctx, end := span(ctx, spanSandbox)
	defer end(&err)
	if err := r.checkSandbox(config, handler); err != nil {
		return "", err
	}
	s := &sandbox{
		ID: newID(), Name: sandboxName(config.GetMetadata()), Boot: r.boot, Handler: handler, Phase: making,
		CreatedAt: time.Now().UnixNano(), Config: proto.CloneOf(config), Cgroup: config.GetLinux().GetCgroupParent(),
		Overhead: config.GetLinux().GetOverhead(), Resources: config.GetLinux().GetResources(),
	}
	if s.Cgroup == "" {
		s.Cgroup, s.OwnCgroup = r.ownCgroup(s.ID), true
	}
	unlock, err := r.sandboxes.add(s)
	if err != nil {
		return "", wrap(err, "make sandbox of pod %s", s.Name)
	}
	defer unlock()
	r.attend(handler)
	if err := r.reserve(ctx, s.Name, s.ID); err != nil {
		return "", errors.Join(wrap(err, "reserve sandbox name"), r.sandboxes.remove(s.ID))
	}
	if err = r.setUp(ctx, s); err == nil {
		s.Phase = ready
		if err = r.sandboxes.put(s); err == nil {
			r.tell(ctx, s.ID, s.ID, runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT)
			r.tell(ctx, s.ID, s.ID, runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT)
			return s.ID, nil
		}
	}
	return "", wrap(r.undoSandbox(ctx, s, err), "run sandbox of pod %s", s.Name)
}

// setUp makes all parts side by side. What takes longest comes last: it goes on at
// once, the others when a processor is free.
func (r *Runtime) setUp(ctx context.Context, s *sandbox) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.writeFiles(s) })
	g.Go(func() error { r.prepare(ctx, s.Handler); return nil })
	if s.OwnCgroup {
		g.Go(func() error { return r.o.Cgroups.Ensure(ctx, s.Cgroup, cgroups.Values{}) })
	}
	g.Go(func() error { return r.setUpNetwork(ctx, s) })
	return g.Wait()
}

func (r *Runtime) setUpNetwork(ctx context.Context, s *sandbox) (err error) {
	kinds := kindsOf(s.Config)
	if kinds == 0 {
		return nil
	}
	ctx, end := span(ctx, spanNetwork)
	defer end(&err)
	create := func() error {
		_, err := r.o.Namespaces.Create(r.nsDir(s.ID), kinds, namespaceOptions(s.Config, kinds))
		return wrap(err, "make namespaces")
	}
	if kinds&netns.Net == 0 {
		return create()
	}
	a, err := attachment(s, netns.Paths(r.nsDir(s.ID), netns.Net).Net)
	if err != nil {
		return err
	}
	var reserving errgroup.Group
	if n, ok := r.o.Network.(netns.Reserver); ok {
		reserving.Go(func() error { return n.Reserve(ctx, a) })
	}
	if err := errors.Join(create(), wrap(reserving.Wait(), "set up network")); err != nil {
		return err
	}
	s.Net, err = r.o.Network.Setup(ctx, a)
	return wrap(err, "set up network")
}

// undoSandbox takes everything down again and returns cause with what failed.
func (r *Runtime) undoSandbox(ctx context.Context, s *sandbox, cause error) error {
	ctx, cancel := cleanup(ctx)
	defer cancel()
	defer r.attend(s.Handler)
	err := r.tearDown(ctx, s)
	if err == nil {
		err = r.removeCgroup(ctx, s)
	}
	if err == nil {
		err = r.forget(s)
	}
	if err != nil { // it stays listed, so that it can be stopped again
		s.Phase = stopped
		err = errors.Join(wrap(err, "undo"), r.sandboxes.put(s))
	}
	return errors.Join(cause, err)
}

// kindsOf are the namespaces that a pod has of its own.
func kindsOf(c *runtimeapi.PodSandboxConfig) netns.Kinds {
	var k netns.Kinds
	o := c.GetLinux().GetSecurityContext().GetNamespaceOptions()
	if o.GetNetwork() != runtimeapi.NamespaceMode_NODE {
		k |= netns.Net | netns.UTS
	}
	if o.GetIpc() != runtimeapi.NamespaceMode_NODE {
		k |= netns.IPC
	}
	return k
}

// namespaceOptions are hostname and sysctls. As with containerd, a pod of its
// own network may use low ports and send pings without privilege.
func namespaceOptions(c *runtimeapi.PodSandboxConfig, kinds netns.Kinds) netns.Options {
	o := netns.Options{Sysctls: map[string]string{}}
	if kinds&netns.UTS != 0 {
		o.Hostname = c.GetHostname()
	}
	if kinds&netns.Net != 0 {
		o.Sysctls["net.ipv4.ip_unprivileged_port_start"] = "0"
		o.Sysctls["net.ipv4.ping_group_range"] = "0 2147483647"
	}
	for k, v := range c.GetLinux().GetSysctls() {
		o.Sysctls[dotted(k)] = v
	}
	return o
}

func (r *Runtime) nsDir(id string) string { return r.sandboxes.path(id, dirNamespaces) }

func (r *Runtime) ownCgroup(id string) string { return r.o.CgroupRoot + "/" + id }

// sandbox finds one that is wholly made.
func (r *Runtime) sandbox(id string) (*sandbox, error) {
	s, err := r.sandboxes.get(id)
	if err != nil || s.Phase == making {
		return nil, errorf(codes.NotFound, "sandbox %q not found", id)
	}
	return s, nil
}
