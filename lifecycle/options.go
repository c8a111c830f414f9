package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/image/credentials"
	"github.com/lifepod/lifepod/image/pacing"
	"github.com/lifepod/lifepod/image/pullrecord"
	"github.com/lifepod/lifepod/lifecycle/plan"
	"github.com/lifepod/lifepod/lifecycle/podcgroup"
	"github.com/lifepod/lifepod/volume"
)

// Options configure a Runner. Runtime, Images, Volumes and Dir are required.
type Options struct {
	Runtime Runtime
	Images  Images
	// RuntimeName is the scheme of container ids in a status. Empty means
	// "lifepod".
	RuntimeName string
	// Volumes sets up the pods' volumes; *volume.Manager is one.
	Volumes Volumes
	// Objects finds what env variables refer to. Nil finds nothing.
	Objects volume.Objects
	// Credentials are the node's, beside the pods' pull secrets. Nil means none.
	Credentials credentials.Source
	// Pulls bounds the pulls of all pods together. The zero value is the kubelet's
	// default: one after another, 5 a second after 10 at once.
	Pulls pacing.Limits
	// PullRecords remember with which credentials images were pulled, and VerifyPulls
	// says which pods must ask the registry for an image that is there, as they have
	// not shown such. Nil records mean that every pod may use what is there.
	PullRecords pullrecord.Store
	VerifyPulls pullrecord.Policy
	// Cgroups makes the pods' cgroups below Cgroup.Root. Nil makes none.
	Cgroups PodCgroups
	// TierLinger keeps the cgroups of the QoS tiers for this long after the last
	// pod's is gone, or until Close; another pod may come. Zero removes them with it.
	TierLinger time.Duration
	// Cgroup says how resources become cgroup values on this machine.
	Cgroup podcgroup.Options
	// Dir is where each pod has its directory: <root>/pods.
	Dir string
	// LogDir is where the containers' logs go. Empty means logs beside Dir.
	LogDir string
	// Node describes this machine.
	Node Node
	// Config holds the numbers that may be chosen.
	Config plan.Config
	// RelistPeriod is how often a runtime without events is listed, and how long
	// to wait before its events are asked for again. Zero means 1 s.
	RelistPeriod time.Duration
	// OnStatus is called at each change of a pod's status, OnEvent for each
	// event, both in order for one pod, from its goroutine: they must not block.
	OnStatus func(*corev1.Pod, corev1.PodStatus)
	OnEvent  func(*corev1.Pod, plan.Event)
	// Hooks wrap the execution of every action, in their order.
	Hooks []Hook
	// Tracer gets a span for each action. Nil means the global provider's.
	Tracer trace.Tracer
	Log    logr.Logger
}

// Volumes makes and removes all volumes of a pod. Its methods are idempotent.
type Volumes interface {
	SetUp(ctx context.Context, r volume.Request) (map[string]volume.Mounted, error)
	SubPath(ctx context.Context, r volume.SubPathRequest) (string, error)
	TearDown(ctx context.Context, dir string) error
}

// Hook wraps the execution of actions. It can refuse one (by an error, which is
// then the action's), watch it, add to it; it cannot change what is decided.
type Hook interface {
	Before(ctx context.Context, pod *corev1.Pod, a plan.Action) error
	After(ctx context.Context, pod *corev1.Pod, r plan.Result)
}

// Node describes the machine to the pods on it.
type Node struct {
	Name string
	// HostIPs, the primary first.
	HostIPs []string
	// ClusterDNS and ClusterDomain are for pods with dnsPolicy ClusterFirst;
	// without servers they get the node's own resolver, as in Kubernetes.
	ClusterDNS    []string
	ClusterDomain string
	// ResolvConf is the node's resolver configuration. Empty means
	// /etc/resolv.conf.
	ResolvConf string
	// Capacity and Allocatable are what the node has and what pods may use.
	Capacity, Allocatable corev1.ResourceList
	// RecursiveReadOnly says that the runtime can do it.
	RecursiveReadOnly bool
}

func (n Node) facts() plan.Node {
	return plan.Node{HostIPs: n.HostIPs, RecursiveReadOnly: n.RecursiveReadOnly}
}

// check completes o and names what is missing.
func (o *Options) check() error {
	switch {
	case o.Runtime == nil:
		return errors.New("lifecycle: Options.Runtime is missing")
	case o.Images == nil:
		return errors.New("lifecycle: Options.Images is missing")
	case o.Volumes == nil:
		return errors.New("lifecycle: Options.Volumes is missing")
	case !filepath.IsAbs(o.Dir):
		return errors.New("lifecycle: Options.Dir must be an absolute directory")
	}
	if err := errors.Join(o.Pulls.Check(), o.VerifyPulls.Check()); err != nil {
		return fmt.Errorf("lifecycle: %w", err)
	}
	if o.RuntimeName == "" {
		o.RuntimeName = "lifepod"
	}
	if o.LogDir == "" {
		o.LogDir = filepath.Join(filepath.Dir(o.Dir), "log", "pods")
	}
	if o.Node.ResolvConf == "" {
		o.Node.ResolvConf = "/etc/resolv.conf"
	}
	if o.RelistPeriod == 0 {
		o.RelistPeriod = time.Second
	}
	if o.Tracer == nil {
		o.Tracer = otel.Tracer("github.com/lifepod/lifepod/lifecycle")
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	return nil
}
