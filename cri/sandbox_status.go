package cri

import (
	"context"
	"slices"
	"time"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/netns"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// live says whether a sandbox is ready, and if not, why.
func (r *Runtime) live(ctx context.Context, s *sandbox) (bool, string) {
	switch {
	case s.Phase != ready:
		return false, "it was stopped"
	case s.Boot != r.boot:
		return false, "the machine was restarted"
	}
	if kinds := kindsOf(s.Config); kinds != 0 {
		pins, err := r.o.Namespaces.Load(r.nsDir(s.ID))
		if want := netns.Paths(r.nsDir(s.ID), kinds); err != nil || pins != want {
			return false, "its namespaces are gone"
		}
	}
	if s.Holder {
		if st, err := r.holder(ctx, s); err != nil || st.Status != container.Running {
			return false, "the holder of its PID namespace has ended"
		}
	}
	return true, ""
}

func (r *Runtime) sandboxState(ctx context.Context, s *sandbox) runtimeapi.PodSandboxState {
	if ok, _ := r.live(ctx, s); ok {
		return runtimeapi.PodSandboxState_SANDBOX_READY
	}
	return runtimeapi.PodSandboxState_SANDBOX_NOTREADY
}

// ListPodSandbox lists what the filter selects, newest first.
func (r *Runtime) ListPodSandbox(ctx context.Context, f *runtimeapi.PodSandboxFilter) ([]*runtimeapi.PodSandbox, error) {
	all, err := r.selectSandboxes(f.GetId(), f.GetLabelSelector())
	if err != nil {
		return nil, err
	}
	var out []*runtimeapi.PodSandbox
	for _, s := range all {
		state := r.sandboxState(ctx, s)
		if f.GetState() != nil && f.GetState().GetState() != state {
			continue
		}
		c := proto.CloneOf(s.Config)
		out = append(out, &runtimeapi.PodSandbox{
			Id: s.ID, Metadata: c.GetMetadata(), State: state, CreatedAt: s.CreatedAt, Labels: c.GetLabels(),
			Annotations: c.GetAnnotations(), RuntimeHandler: s.Handler,
		})
	}
	return out, nil
}

func (r *Runtime) selectSandboxes(id string, labels map[string]string) ([]*sandbox, error) {
	all, err := r.sandboxes.all()
	if err != nil {
		return nil, wrap(err, "list sandboxes")
	}
	all = slices.DeleteFunc(all, func(s *sandbox) bool {
		return s.Phase == making || id != "" && id != s.ID || !selects(labels, s.Config.GetLabels())
	})
	slices.SortFunc(all, func(a, b *sandbox) int { return int(b.CreatedAt - a.CreatedAt) })
	return all, nil
}

// PodSandboxStatus returns NotFound for an unknown sandbox.
func (r *Runtime) PodSandboxStatus(ctx context.Context, id string, verbose bool) (*runtimeapi.PodSandboxStatusResponse, error) {
	s, err := r.sandbox(id)
	if err != nil {
		return nil, err
	}
	resp := &runtimeapi.PodSandboxStatusResponse{Status: r.sandboxStatus(ctx, s), Timestamp: time.Now().UnixNano()}
	if resp.ContainersStatuses, err = r.statuses(ctx, id); err != nil {
		return nil, err
	}
	if verbose {
		_, why := r.live(ctx, s)
		resp.Info, err = info(map[string]any{
			"config": s.Config, "network": s.Net, "cgroup": s.Cgroup, "notReady": why, "overhead": s.Overhead, "resources": s.Resources,
			"namespaces": r.nsDir(s.ID),
		})
	}
	return resp, err
}

func (r *Runtime) sandboxStatus(ctx context.Context, s *sandbox) *runtimeapi.PodSandboxStatus {
	c := proto.CloneOf(s.Config)
	return &runtimeapi.PodSandboxStatus{
		Id: s.ID, Metadata: c.GetMetadata(), State: r.sandboxState(ctx, s), CreatedAt: s.CreatedAt, Network: network(s),
		Linux: &runtimeapi.LinuxPodSandboxStatus{Namespaces: &runtimeapi.Namespace{
			Options: c.GetLinux().GetSecurityContext().GetNamespaceOptions(),
		}},
		Labels: c.GetLabels(), Annotations: c.GetAnnotations(), RuntimeHandler: s.Handler,
	}
}

// network has addresses as long as the sandbox has its network.
func network(s *sandbox) *runtimeapi.PodSandboxNetworkStatus {
	n := &runtimeapi.PodSandboxNetworkStatus{}
	if s.Phase != ready || hostNetwork(s.Config) {
		return n
	}
	for i, a := range s.Net.Addrs {
		if i == 0 {
			n.Ip = a.Addr().String()
		} else {
			n.AdditionalIps = append(n.AdditionalIps, &runtimeapi.PodIP{Ip: a.Addr().String()})
		}
	}
	return n
}

// UpdatePodSandboxResources records what the caller did to the pod's cgroup.
func (r *Runtime) UpdatePodSandboxResources(ctx context.Context, req *runtimeapi.UpdatePodSandboxResourcesRequest) (*runtimeapi.UpdatePodSandboxResourcesResponse, error) {
	id := req.GetPodSandboxId()
	unlock, err := r.ops.lock(ctx, id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	s, err := r.sandbox(id)
	if err != nil {
		return nil, err
	}
	with := *s
	if req.GetOverhead() != nil {
		with.Overhead = proto.CloneOf(req.GetOverhead())
	}
	if req.GetResources() != nil {
		with.Resources = proto.CloneOf(req.GetResources())
	}
	return &runtimeapi.UpdatePodSandboxResourcesResponse{}, wrap(r.sandboxes.put(&with), "update sandbox %s", id)
}
