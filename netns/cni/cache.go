package cni

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/lifepod/lifepod/netns"
)

// attachment is one ADD that came to its end, with what it was run with.
type attachment struct {
	list *libcni.NetworkConfigList
	rt   *libcni.RuntimeConf
}

// attachments lists what is cached for an ID, or for all.
func (n *Network) attachments(id string) ([]attachment, error) {
	cached, err := n.cni.GetCachedAttachments(id)
	if err != nil {
		return nil, fmt.Errorf("read the cache: %w", err)
	}
	var out []attachment
	for _, c := range cached {
		list, err := libcni.NetworkConfFromBytes(c.Config)
		if err != nil { // a file with one plugin was cached as that
			list, err = fromPlugin(c.Config)
		}
		if err != nil {
			return nil, fmt.Errorf("read the cached configuration of %s: %w", c.ContainerID, err)
		}
		out = append(out, attachment{list, &libcni.RuntimeConf{ContainerID: c.ContainerID, NetNS: c.NetNS, IfName: c.IfName,
			Args: c.CniArgs, CapabilityArgs: c.CapabilityArgs}})
	}
	return out, nil
}

// present looks for the interface and its addresses in the pod's namespace.
func (n *Network) present(at attachment) error {
	r, err := n.cni.GetNetworkListCachedResult(at.list, at.rt)
	if err != nil {
		return fmt.Errorf("read the cached result: %w", err)
	}
	want, err := convert(r, at.rt.IfName)
	if err != nil {
		return fmt.Errorf("the cached result: %w", err)
	}
	return netns.Do(at.rt.NetNS, func() error {
		i, err := net.InterfaceByName(at.rt.IfName)
		if err != nil {
			return fmt.Errorf("the pod's interface %s: %w", at.rt.IfName, err)
		}
		have, err := i.Addrs()
		for _, a := range want.Addrs {
			if !slices.ContainsFunc(have, func(h net.Addr) bool { return h.String() == a.String() }) {
				return errors.Join(err, fmt.Errorf("the pod's interface %s has lost the address %s", i.Name, a))
			}
		}
		return err
	})
}

// GC takes down every cached attachment but those in keep, and tells the
// plugins of the network (version 1.1.0 and later) to free what they hold for
// others: addresses of attachments that nobody remembers. Only the owner of the
// whole network may call it: attachments of another root would be lost.
func (n *Network) GC(ctx context.Context, keep []netns.Attachment) error {
	cached, err := n.attachments("")
	if err != nil {
		return err
	}
	var errs []error
	for _, at := range cached {
		if !slices.ContainsFunc(keep, func(a netns.Attachment) bool { return a.ID == at.rt.ContainerID }) {
			errs = append(errs, n.delOld(ctx, at))
		}
	}
	list, err := load(n.o.ConfDir, n.o.ConfFile)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	args := &libcni.GCArgs{ValidAttachments: []types.GCAttachment{}}
	for _, a := range keep {
		name := a.IfName
		if name == "" {
			name = "eth0"
		}
		args.ValidAttachments = append(args.ValidAttachments, types.GCAttachment{ContainerID: a.ID, IfName: name})
	}
	ctx, cancel := context.WithTimeout(ctx, n.o.Timeout)
	defer cancel()
	return errors.Join(append(errs, n.cni.GCNetworkList(ctx, list, args))...)
}
