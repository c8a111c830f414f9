package cri

import (
	"context"
	"maps"
	"slices"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Status has the conditions RuntimeReady and NetworkReady.
func (r *Runtime) Status(ctx context.Context, verbose bool) (*runtimeapi.StatusResponse, error) {
	net := &runtimeapi.RuntimeCondition{Type: runtimeapi.NetworkReady, Status: true}
	if err := r.o.Network.Ready(ctx); err != nil {
		net.Status, net.Reason, net.Message = false, "NetworkPluginNotReady", err.Error()
	}
	resp := &runtimeapi.StatusResponse{
		Status: &runtimeapi.RuntimeStatus{Conditions: []*runtimeapi.RuntimeCondition{
			{Type: runtimeapi.RuntimeReady, Status: true}, net,
		}},
		Features: &runtimeapi.RuntimeFeatures{SupplementalGroupsPolicy: true},
	}
	for _, name := range slices.Sorted(maps.Keys(r.runtimes())) {
		resp.RuntimeHandlers = append(resp.RuntimeHandlers, &runtimeapi.RuntimeHandler{
			Name: name, Features: &runtimeapi.RuntimeHandlerFeatures{RecursiveReadOnlyMounts: r.host.RecursiveReadOnly},
		})
	}
	if !verbose {
		return resp, nil
	}
	var err error
	resp.Info, err = info(map[string]any{"root": r.o.Root, "run": r.o.Run, "cgroupRoot": r.o.CgroupRoot, "host": r.host, "since": r.started})
	return resp, err
}

// RuntimeConfig says that cgroups are made through their file system.
func (r *Runtime) RuntimeConfig(context.Context) (*runtimeapi.RuntimeConfigResponse, error) {
	return &runtimeapi.RuntimeConfigResponse{Linux: &runtimeapi.LinuxRuntimeConfiguration{CgroupDriver: runtimeapi.CgroupDriver_CGROUPFS}}, nil
}

// podCIDRs is a network that takes the node's address range.
type podCIDRs interface {
	SetPodCIDR(ctx context.Context, cidr string) error
}

// UpdateRuntimeConfig hands the node's pod CIDR to a network that has a
// SetPodCIDR(ctx, cidr) error; with others it is Unimplemented.
func (r *Runtime) UpdateRuntimeConfig(ctx context.Context, c *runtimeapi.RuntimeConfig) error {
	cidr := c.GetNetworkConfig().GetPodCidr()
	if cidr == "" {
		return nil
	}
	if n, ok := r.o.Network.(podCIDRs); ok {
		return wrap(n.SetPodCIDR(ctx, cidr), "set pod CIDR %s", cidr)
	}
	return unimplemented("a pod CIDR: the network takes its addresses from its own configuration;")
}
