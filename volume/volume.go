package volume

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Objects are where content comes from. An absent object is an error that says
// so (NotFound() bool, or IsNotFound of apimachinery's errors).
type Objects interface {
	ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
}

// TokenSource issues service account tokens.
type TokenSource interface {
	Token(ctx context.Context, r TokenRequest) (string, error)
}

// TokenFunc is a function as a TokenSource.
type TokenFunc func(ctx context.Context, r TokenRequest) (string, error)

// Token calls f.
func (f TokenFunc) Token(ctx context.Context, r TokenRequest) (string, error) { return f(ctx, r) }

// TokenRequest says what a token is for. It is bound to the pod.
type TokenRequest struct {
	Namespace, ServiceAccount, Pod, PodUID string
	// Audience is empty for the issuer's default.
	Audience          string
	ExpirationSeconds int64
}

// Request is a pod whose volumes are wanted.
type Request struct {
	// Pod is defaulted: modes are set.
	Pod *corev1.Pod
	// Dir is the pod's directory, pods/<uid>. Everything is made below it.
	Dir     string
	Objects Objects
	// Tokens may be nil; then a serviceAccountToken source is refused.
	Tokens TokenSource
}

// Mounted is a volume that is ready.
type Mounted struct {
	Name string
	// Path is the directory or file on the host to mount into containers.
	Path string
	// ReadOnly volumes are mounted read-only whatever the container asks.
	ReadOnly bool
}

// SubPathRequest is one volumeMount with a subPath.
type SubPathRequest struct {
	// Dir is the pod's directory, Volume one that is ready.
	Dir    string
	Volume Mounted
	// SubPath is relative to the volume and clean of "..".
	SubPath string
	// Container and Index say whose volumeMount it is.
	Container string
	Index     int
}

// Plugin is one type of volume. A plugin holds no state of a volume; its methods
// may be called for different volumes at once, never for one.
type Plugin interface {
	// Name is "kubernetes.io/<type>", the name of its directory.
	Name() string
	// Supports says whether the volume is of this type.
	Supports(v *corev1.Volume) bool
	// SetUp makes the volume ready, or brings it up to date. It may be called
	// again at any time, also after a crash in the middle. What it returns an
	// error for must be left as it was, or as TearDown can take away.
	SetUp(ctx context.Context, m Mount) (Mounted, error)
	// TearDown takes away what SetUp made at path. An absent one is fine.
	TearDown(ctx context.Context, path string) error
}

// Updater is a plugin whose content can change under a running pod.
type Updater interface {
	// Update writes new content, if there is any, and says so.
	Update(ctx context.Context, m Mount) (changed bool, err error)
}

// Mount is one volume of a request.
type Mount struct {
	Request
	Volume *corev1.Volume
	// Path is where the volume lies: Dir/volumes/<plugin>/<name>.
	Path string
	// Node is what the node can give.
	Node Node
}

// Node is what volumes must know about it.
type Node struct {
	// Allocatable are the node's resources for pods: the default size of
	// memory volumes and of downward API limits.
	Allocatable corev1.ResourceList
	// Protected are directories that no hostPath may contain or lie in.
	Protected []string
}

// Options of a Manager. The zero value works.
type Options struct {
	// Allocatable are the node's resources for pods. A resource that is not
	// given does not bound anything.
	Allocatable corev1.ResourceList
	// Protected are directories that no hostPath volume may contain or lie in:
	// the program's own root and run directory.
	Protected []string
	// Plugins are further types; they come before the built-in ones.
	Plugins []Plugin
}

// Manager sets up the volumes of pods. Its methods may be called at once for
// different pods, not for one.
type Manager struct {
	node    Node
	plugins []Plugin
}

// New makes a Manager with the built-in volume types.
func New(o Options) *Manager {
	builtin := []Plugin{emptyDir{}, hostPath{}, configMapPlugin, secretPlugin, downwardPlugin, projectedPlugin}
	return &Manager{
		node:    Node{Allocatable: o.Allocatable, Protected: o.Protected},
		plugins: append(append([]Plugin{}, o.Plugins...), builtin...),
	}
}

func (m *Manager) plugin(v *corev1.Volume) Plugin {
	for _, p := range m.plugins {
		if p.Supports(v) {
			return p
		}
	}
	return nil
}

// memory is the node's memory for pods, nil when it is not known.
func (n Node) memory() *resource.Quantity {
	q, ok := n.Allocatable[corev1.ResourceMemory]
	if !ok {
		return nil
	}
	return &q
}
