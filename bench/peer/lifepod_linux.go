package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/bench/internal/stamped"
	"github.com/lifepod/lifepod/internal/containerd"
	"github.com/lifepod/lifepod/lifecycle/local"
	"github.com/lifepod/lifepod/netns/cni"
)

// node is lifepod with some choice of blocks.
type node struct {
	*local.Node
	root string
}

// subjects are all ways to run the pod. Each keeps one pod, so that nothing is
// started for the first one of those that are measured.
func subjects(dir, host string, peer containerd.Options, d *containerd.Daemon) ([]subject, func() error, error) {
	chain := filepath.Join(dir, "chain")
	conflist := filepath.Join(chain, "10-bench.conflist")
	if err := os.MkdirAll(chain, 0o755); err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(conflist, containerd.Conflist(chain, "bench", "bench0", "10.89.0.0/16"), 0o644); err != nil {
		return nil, nil, err
	}
	network, err := cni.New(cni.Options{ConfFile: conflist, BinDirs: []string{peer.Plugins}, CacheDir: filepath.Join(chain, "cache")})
	if err != nil {
		return nil, nil, err
	}
	own := local.Options{SupervisorIdle: 50 * time.Millisecond}
	if *supervisor != "" {
		if own.Supervisor, err = filepath.Abs(*supervisor); err != nil {
			return nil, nil, err
		}
	}
	own.Images.Client.Mirrors = map[string]string{stamped.Registry: host}
	chained := own
	chained.Network = network
	over := local.Options{CRI: &local.CRI{Name: "containerd", Runtime: d.Runtime, Images: d.Images}}

	var all []subject
	var nodes []node
	closeAll := func() error {
		var err error
		for _, n := range nodes {
			err = errors.Join(err, n.close())
		}
		return err
	}
	for _, c := range []struct {
		name    string
		options local.Options
	}{
		{"lifepod", own}, {"lifepod, CNI bridge+portmap", chained}, {"lifepod on containerd, CNI bridge+portmap", over},
	} {
		n, err := openNode(filepath.Join(dir, string(rune('a'+len(nodes)))), c.options)
		if err != nil {
			return nil, nil, errors.Join(err, closeAll())
		}
		nodes = append(nodes, n)
		all = append(all, subject{c.name, n.start})
	}
	bare, err := newClient(filepath.Join(dir, "client"), d, nodes[0].template)
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	return append(all, subject{"containerd's CRI, CNI bridge+portmap", bare.start}), closeAll, nil
}

// openNode opens a root and runs the pod that is kept.
func openNode(root string, o local.Options) (node, error) {
	o.Root, o.NodeName = root, "bench"
	n, err := local.Open(o)
	if err != nil {
		return node{}, err
	}
	out := node{n, root}
	if _, _, err := out.start(context.Background(), "kept"); err != nil {
		return node{}, errors.Join(err, n.Close())
	}
	return out, nil
}

// close ends all pods of the root, and returns when its supervisor is gone, too.
func (n node) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pods, err := n.List(ctx)
	for _, p := range pods {
		err = errors.Join(err, n.Stop(ctx, p.Pod.Name, nil))
	}
	err = errors.Join(err, n.Close())
	for range 100 {
		id := "lifepod-" + local.RootID(n.root)
		v1, _ := filepath.Glob("/sys/fs/cgroup/*/" + id)
		v2, _ := filepath.Glob("/sys/fs/cgroup/" + id)
		if len(v1)+len(v2) == 0 {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.Join(err, fmt.Errorf("the cgroups of %s are left", n.root))
}

func (n node) start(ctx context.Context, name string) (time.Duration, func(context.Context) error, error) {
	h, took, err := stamped.Start(ctx, n.Node, n.root, name, nil)
	if err != nil {
		return 0, nil, err
	}
	return took, h.Stop, nil
}

// template is the pod as admitted.
func (n node) template(ctx context.Context) (*corev1.Pod, error) {
	pods, err := n.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range pods {
		if p.Pod.Name == "kept" {
			return p.Pod, nil
		}
	}
	return nil, errors.New("the pod that is kept is gone")
}
