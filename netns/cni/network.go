package cni

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/lifepod/lifepod/netns"
)

// Options configure a [Network]. CacheDir is needed.
type Options struct {
	// ConfDir holds configurations; the first by name is used. Empty means
	// /etc/cni/net.d.
	ConfDir string
	// ConfFile, if set, is used instead.
	ConfFile string
	// BinDirs hold the plugins. Empty means /opt/cni/bin.
	BinDirs []string
	// CacheDir keeps what ADDs answered, for CHECK and DEL. It belongs to one
	// root and should lie where it dies with the boot, as namespaces do.
	CacheDir string
	// Timeout bounds one Setup, Check or Teardown with all its plugins. Zero
	// means one minute.
	Timeout time.Duration
	// Host is the pinned network namespace that plugins run in. Empty means the
	// one that the process is in.
	Host string
	// Lenient hands host ports, bandwidth and wished addresses to Setup without
	// an error where no plugin declares that capability: for networks that learn
	// them elsewhere.
	Lenient bool
}

// Network joins pods to a CNI network. It is safe for concurrent use with
// different attachments, also by several processes.
type Network struct {
	o   Options
	cni *libcni.CNIConfig
}

var _ netns.Network = (*Network)(nil)

// New opens the network. It reads nothing yet: see Ready.
func New(o Options) (*Network, error) {
	if !filepath.IsAbs(o.CacheDir) {
		return nil, fmt.Errorf("cni: CacheDir %q must be an absolute path", o.CacheDir)
	}
	o.ConfDir = cmp.Or(o.ConfDir, "/etc/cni/net.d")
	if len(o.BinDirs) == 0 {
		o.BinDirs = []string{"/opt/cni/bin"}
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	return &Network{o, libcni.NewCNIConfigWithCacheDir(o.BinDirs, o.CacheDir, &plugins{host: o.Host})}, nil
}

// Setup runs ADD for all plugins of the network. After a failure it has run DEL.
func (n *Network) Setup(ctx context.Context, a netns.Attachment) (netns.Result, error) {
	if err := ctx.Err(); err != nil {
		return netns.Result{}, err
	}
	a.IfName = cmp.Or(a.IfName, "eth0")
	res, err := n.setup(ctx, a)
	if err != nil {
		return netns.Result{}, fmt.Errorf("set up the network of %s: %w", a.ID, err)
	}
	return res, nil
}

func (n *Network) setup(ctx context.Context, a netns.Attachment) (netns.Result, error) {
	if err := netns.LoopbackUp(a.Path); err != nil {
		return netns.Result{}, err
	}
	if !containerID.MatchString(a.ID) || !interfaceName.MatchString(a.IfName) {
		return netns.Result{}, fmt.Errorf("id %q, interface %q: use letters, digits, '.', '_' and '-', at most 128 and 15", a.ID, a.IfName)
	}
	list, err := load(n.o.ConfDir, n.o.ConfFile)
	if err != nil {
		return netns.Result{}, err
	}
	rt, err := runtimeConf(a)
	if err == nil && !n.o.Lenient {
		err = honoured(list, rt)
	}
	if err != nil {
		return netns.Result{}, err
	}
	if err := n.teardown(ctx, a); err != nil { // again: what was begun is undone first
		return netns.Result{}, err
	}
	at := attachment{list, rt}
	if err := n.remember(at); err != nil {
		return netns.Result{}, err
	}
	r, err := n.add(ctx, list, rt)
	if err == nil {
		var res netns.Result
		if res, err = convert(r, a.IfName); err == nil {
			return res, nil
		}
		err = fmt.Errorf("the result of network %s: %w", list.Name, err)
	}
	// Whoever failed, those before it have made interfaces and taken addresses.
	return netns.Result{}, errors.Join(err, n.del(context.WithoutCancel(ctx), at))
}

func (n *Network) add(ctx context.Context, list *libcni.NetworkConfigList, rt *libcni.RuntimeConf) (types.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, n.o.Timeout)
	defer cancel()
	return n.cni.AddNetworkList(ctx, list, rt)
}

// del runs DEL and forgets the attachment. A namespace that is no longer one is
// not named to the plugins: they would fail on it and keep the address.
func (n *Network) del(ctx context.Context, at attachment) error {
	ctx, cancel := context.WithTimeout(ctx, n.o.Timeout)
	defer cancel()
	rt := *at.rt
	err := netns.Valid(rt.NetNS)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, netns.ErrNotNamespace) {
		rt.NetNS = ""
	}
	if err := n.cni.DelNetworkList(ctx, at.list, &rt); err != nil {
		return err
	}
	return n.forget(at)
}

// Teardown runs DEL with what ADD was run with, as far as it came. Without an
// ADD there is nothing to undo and no plugin runs.
func (n *Network) Teardown(ctx context.Context, a netns.Attachment) error {
	if err := n.teardown(ctx, a); err != nil {
		return fmt.Errorf("tear down the network of %s: %w", a.ID, err)
	}
	return nil
}

func (n *Network) teardown(ctx context.Context, a netns.Attachment) error {
	if a.ID == "" {
		return nil // an empty ID would stand for all
	}
	begun, err := n.attachments(a.ID)
	errs := []error{err}
	for _, at := range begun {
		errs = append(errs, n.del(ctx, at))
	}
	return errors.Join(errs...)
}

// Check runs CHECK. Networks older than version 0.4.0, and those that disable
// it, only have their interface looked at.
func (n *Network) Check(ctx context.Context, a netns.Attachment) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := n.check(ctx, a); err != nil {
		return fmt.Errorf("check the network of %s: %w", a.ID, err)
	}
	return nil
}

var interfaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$`)

func (n *Network) check(ctx context.Context, a netns.Attachment) error {
	ctx, cancel := context.WithTimeout(ctx, n.o.Timeout)
	defer cancel()
	old, err := n.attachments(a.ID)
	if err != nil {
		return err
	}
	if len(old) == 0 || a.ID == "" {
		return errors.New("it is not set up")
	}
	for _, at := range old {
		if err := n.present(at); err != nil {
			return err
		}
		err := n.cni.CheckNetworkList(ctx, at.list, at.rt)
		if err != nil && !errors.Is(err, libcni.ErrorCheckNotSupp) {
			return err
		}
	}
	return nil
}

// Ready says whether a configuration is there, its plugins are, and their
// STATUS is good (networks of version 1.1.0 and later).
func (n *Network) Ready(ctx context.Context) error {
	list, err := load(n.o.ConfDir, n.o.ConfFile)
	if err != nil {
		return fmt.Errorf("cni plugin not initialized: %w", err)
	}
	for _, p := range list.Plugins {
		if _, err := (&plugins{}).FindInPath(p.Network.Type, n.o.BinDirs); err != nil {
			return fmt.Errorf("network %s: %w", list.Name, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, n.o.Timeout)
	defer cancel()
	if err := n.cni.GetStatusNetworkList(ctx, list); err != nil {
		return fmt.Errorf("network %s: %w", list.Name, err)
	}
	return nil
}
