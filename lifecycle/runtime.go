package lifecycle

import (
	"context"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/cgroups"
)

// Runtime is what a Runner needs of a CRI runtime. The signatures are those of
// k8s.io/cri-api/pkg/apis, so that lifepod's cri, k8s.io/cri-client and
// cri-api's fakes fit without an adapter.
type Runtime interface {
	Sandboxes
	Containers
	Execs
	Events
}

// Sandboxes makes and ends pod sandboxes.
type Sandboxes interface {
	RunPodSandbox(ctx context.Context, config *runtimeapi.PodSandboxConfig, runtimeHandler string) (string, error)
	StopPodSandbox(ctx context.Context, podSandboxID string) error
	RemovePodSandbox(ctx context.Context, podSandboxID string) error
	PodSandboxStatus(ctx context.Context, podSandboxID string, verbose bool) (*runtimeapi.PodSandboxStatusResponse, error)
	ListPodSandbox(ctx context.Context, filter *runtimeapi.PodSandboxFilter) ([]*runtimeapi.PodSandbox, error)
}

// Containers makes and ends containers.
type Containers interface {
	CreateContainer(ctx context.Context, podSandboxID string, config *runtimeapi.ContainerConfig, sandboxConfig *runtimeapi.PodSandboxConfig) (string, error)
	StartContainer(ctx context.Context, containerID string) error
	StopContainer(ctx context.Context, containerID string, timeout int64) error
	RemoveContainer(ctx context.Context, containerID string) error
	ListContainers(ctx context.Context, filter *runtimeapi.ContainerFilter) ([]*runtimeapi.Container, error)
	ContainerStatus(ctx context.Context, containerID string, verbose bool) (*runtimeapi.ContainerStatusResponse, error)
}

// Execs runs hooks and probes. An exit code other than zero is a
// k8s.io/utils/exec.ExitError.
type Execs interface {
	ExecSync(ctx context.Context, containerID string, cmd []string, timeout time.Duration) (stdout []byte, stderr []byte, err error)
}

// Events tells which containers to look at. A runtime without events ends the
// call at once; it is then observed by listing.
type Events interface {
	GetContainerEvents(ctx context.Context, containerEventsCh chan *runtimeapi.ContainerEventResponse, connectionEstablishedCallback func(runtimeapi.RuntimeService_GetContainerEventsClient)) error
}

// Images is what a Runner needs of a CRI image service.
type Images interface {
	ImageStatus(ctx context.Context, image *runtimeapi.ImageSpec, verbose bool) (*runtimeapi.ImageStatusResponse, error)
	PullImage(ctx context.Context, image *runtimeapi.ImageSpec, auth *runtimeapi.AuthConfig, podSandboxConfig *runtimeapi.PodSandboxConfig) (string, error)
}

// PodCgroups makes and removes the cgroups of pods; *cgroups.Manager is one. All
// methods are idempotent.
type PodCgroups interface {
	Ensure(ctx context.Context, path string, v cgroups.Values) error
	Remove(ctx context.Context, path string) error
	// Prune removes path and those above it, as far as they are empty.
	Prune(ctx context.Context, path string) error
}
