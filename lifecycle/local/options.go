package local

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/admission"
	"github.com/lifepod/lifepod/cgroups"
	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/container/runc"
	"github.com/lifepod/lifepod/image"
	"github.com/lifepod/lifepod/image/credentials"
	"github.com/lifepod/lifepod/image/pacing"
	"github.com/lifepod/lifepod/image/policy"
	"github.com/lifepod/lifepod/image/pullrecord"
	"github.com/lifepod/lifepod/lifecycle"
	"github.com/lifepod/lifepod/netns"
	"github.com/lifepod/lifepod/volume"
)

// DefaultRoot is the root of Options that name none.
const DefaultRoot = "/var/lib/lifepod"

// Options choose the root and replace blocks. The zero value is a node with the
// default blocks under /var/lib/lifepod.
type Options struct {
	// Root holds images, pods and logs. Empty means DefaultRoot.
	Root string
	// Run holds what dies with the boot; it should lie on a tmpfs. The root keeps
	// it, as the link run: as long as something lives there another is refused, and
	// empty means the same again. Else empty means /run/lifepod for the default root,
	// /run/lifepod-ID for others.
	Run string
	// CgroupRoot is the cgroup of everything. Empty means /lifepod-ID.
	CgroupRoot string
	// NodeName is what pods see as their node. Empty means the host's name.
	NodeName string
	// Pools are the address ranges for pods. Empty means the bridge's own.
	Pools []netip.Prefix
	// Supervisor is the path of a prebuilt lifepod-supervisor. Empty means one
	// beside this program, else this program itself.
	Supervisor string
	// SupervisorIdle is how long the supervisor stays after the last container and
	// the last process that has the root open. Zero means 5 s.
	SupervisorIdle time.Duration
	// Images configures the image store, Pull each pull but for its credentials.
	Images image.Options
	Pull   image.PullOptions

	// ImageGC says which images that nothing uses go, and when; see package imagegc.
	// The zero value is Kubernetes' defaults: above 85 % of the filesystem, down to
	// 80 %, not younger than 2 min. A HighPercent of 100 keeps them all. With a CRI,
	// whose images may be others' too, they go only if this is set.
	ImageGC policy.GCOptions

	// Credentials log in to registries for all pods, after the pods' own pull
	// secrets: dockerconfig.Files(nil) those of this user, plugin.Load the kubelet's
	// credential providers. Nil means none.
	Credentials credentials.Source
	// Pulls bounds the pulls that this process does for pods. The zero value is the
	// kubelet's default: one after another, 5 a second after 10 at once.
	Pulls pacing.Limits
	// VerifyPulls says which pods must ask the registry for an image that is there:
	// by default those that have not shown the credentials with which a private one
	// was pulled.
	VerifyPulls pullrecord.Policy

	// Network, Containers and CRI replace blocks; nil means the built-in bridge,
	// libcontainer under a supervisor, and lifepod's own CRI runtime. With a CRI,
	// the image store, Network and Containers are not used.
	Network    netns.Network
	Containers container.Runtime
	CRI        *CRI
	// Cgroups drives the pods' cgroups below CgroupRoot, as package
	// cgroups/containerd can. Nil means a *cgroups.Manager. Containers' own are the
	// runtime's.
	Cgroups Cgroups
	// Admission are plugins that run before validation, VolumePlugins further
	// volume types, Hooks wrap every action.
	Admission     []admission.Plugin
	VolumePlugins []volume.Plugin
	Hooks         []lifecycle.Hook
	// ClusterDNS and ClusterDomain are for pods with dnsPolicy ClusterFirst;
	// without servers they get the host's resolver.
	ClusterDNS    []string
	ClusterDomain string
	// Labels and Taints of the node, for pods that choose.
	Labels map[string]string
	Taints []corev1.Taint
	// Log gets what no caller can be told. The zero value discards it.
	Log logr.Logger
}

// Cgroups makes, measures and removes the cgroups of pods.
type Cgroups interface {
	lifecycle.PodCgroups
	// Stats reads one; it is an error that wraps os.ErrNotExist when there is none.
	Stats(ctx context.Context, path string) (cgroups.Stats, error)
}

// CRI is a runtime that is reached some other way: containerd through
// k8s.io/cri-client, a fake.
type CRI struct {
	// Name is the scheme of container ids: "containerd".
	Name    string
	Runtime lifecycle.Runtime
	Images  lifecycle.Images
}

// RootID is the 8 characters that tell the cgroups, links and tables of one root
// (an absolute path) from another's.
func RootID(root string) string {
	return runc.RootID(root)
}

// complete makes the root, and fills in what was left out.
func (o *Options) complete() (id string, err error) {
	if err := errors.Join(o.Pulls.Check(), o.VerifyPulls.Check()); err != nil {
		return "", err
	}
	if o.Root == "" {
		o.Root = DefaultRoot
	}
	if o.Root, err = filepath.Abs(o.Root); err != nil {
		return "", err
	}
	if err := os.MkdirAll(o.Root, 0o711); err != nil {
		return "", fmt.Errorf("open root %s: %w; choose a directory that you may write to", o.Root, err)
	}
	if o.Root, err = filepath.EvalSymlinks(o.Root); err != nil {
		return "", err
	}
	id = RootID(o.Root)
	if err := o.findRun(id); err != nil {
		return "", fmt.Errorf("open root %s: %w", o.Root, err)
	}
	if o.CgroupRoot == "" {
		o.CgroupRoot = "/lifepod-" + id
	}
	if o.NodeName == "" {
		if o.NodeName, err = os.Hostname(); err != nil {
			return "", err
		}
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	return id, nil
}
