package cni

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/lifepod/lifepod/internal/sys"
	"github.com/lifepod/lifepod/netns"
)

// attachment is one ADD that was begun, with what it was run with.
type attachment struct {
	list *libcni.NetworkConfigList
	rt   *libcni.RuntimeConf
}

// entry is an attachment on disk. It is written before ADD and removed after
// DEL, while libcni's own cache knows only ADDs that came to their end.
type entry struct {
	Config  json.RawMessage
	Runtime libcni.RuntimeConf
}

var (
	containerID  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)
	effectForget = sys.NewEffect("cni/forget")
)

func (n *Network) dir() string { return filepath.Join(n.o.CacheDir, "attachments") }

func (n *Network) file(rt *libcni.RuntimeConf) string {
	return filepath.Join(n.dir(), rt.ContainerID+"@"+rt.IfName+".json")
}

func (n *Network) remember(at attachment) error {
	if err := os.MkdirAll(n.dir(), 0o700); err != nil {
		return err
	}
	b, err := json.Marshal(entry{at.list.Bytes, *at.rt})
	if err != nil {
		return err
	}
	return sys.WriteFile(n.file(at.rt), b, 0o600, false)
}

func (n *Network) forget(at attachment) error {
	return effectForget.Do(func() error {
		err := os.Remove(n.file(at.rt))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	})
}

// attachments lists what was begun for an ID, or for all.
func (n *Network) attachments(id string) ([]attachment, error) {
	files, err := os.ReadDir(n.dir())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []attachment
	for _, f := range files {
		of, _, ok := strings.Cut(f.Name(), "@")
		if !ok || strings.HasPrefix(of, ".") || id != "" && of != id {
			continue
		}
		at, err := n.recall(filepath.Join(n.dir(), f.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // torn down meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, at)
	}
	return out, nil
}

func (n *Network) recall(path string) (attachment, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return attachment{}, err
	}
	var e entry
	if err := json.Unmarshal(b, &e); err != nil {
		return attachment{}, fmt.Errorf("%s is damaged: %w", path, err)
	}
	list, err := libcni.NetworkConfFromBytes(e.Config)
	if err == nil {
		err = check(list)
	}
	if err == nil && n.file(&e.Runtime) != path {
		err = fmt.Errorf("it is of %s", e.Runtime.ContainerID)
	}
	if err != nil {
		return attachment{}, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return attachment{list, &e.Runtime}, nil
}

// present looks for the interface and its addresses in the pod's namespace.
func (n *Network) present(at attachment) error {
	r, err := n.cni.GetNetworkListCachedResult(at.list, at.rt)
	if err != nil {
		return fmt.Errorf("read the cached result: %w", err)
	}
	if r == nil {
		return errors.New("its setup did not come to its end")
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

// GC takes down every attachment of CacheDir but those in keep, and tells the
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
			errs = append(errs, n.del(ctx, at))
		}
	}
	list, err := load(n.o.ConfDir, n.o.ConfFile)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	args := &libcni.GCArgs{ValidAttachments: []types.GCAttachment{}}
	for _, a := range keep {
		args.ValidAttachments = append(args.ValidAttachments, types.GCAttachment{ContainerID: a.ID, IfName: cmp.Or(a.IfName, "eth0")})
	}
	ctx, cancel := context.WithTimeout(ctx, n.o.Timeout)
	defer cancel()
	return errors.Join(append(errs, n.cni.GCNetworkList(ctx, list, args))...)
}
