package lifecycletest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/lifecycle"
)

// Runtime is a CRI runtime and image service in memory. Its zero value is ready.
// It is safe for concurrent use; scripts must be set before pods begin.
type Runtime struct {
	// Scripts say what containers do, by container name.
	Scripts map[string]Script
	Sandbox SandboxScript
	// ImageOf names the container whose script tells of an image; nil means that
	// every image is there.
	ImageOf func(image string) string
	// ImageSize is every image's, in bytes. Zero means 1.
	ImageSize uint64
	// ImageUID is the user that images run as; nil means not said.
	ImageUID *runtimeapi.Int64Value

	mu         sync.Mutex
	sandboxes  map[string]*sandbox
	containers map[string]*container
	pulled     map[string]bool // by image
	counts     map[string]int  // calls so far, by what
	readers    map[*reader]bool
	serial     int
}

var (
	_ lifecycle.Runtime = (*Runtime)(nil)
	_ lifecycle.Images  = (*Runtime)(nil)
)

type sandbox struct {
	id      string
	config  *runtimeapi.PodSandboxConfig
	ready   bool
	ip      string
	created time.Time
	timer   *time.Timer
}

// next counts the calls of one kind: 0, 1, 2 …
func (r *Runtime) next(what string) int {
	if r.counts == nil {
		r.counts = map[string]int{}
	}
	n := r.counts[what]
	r.counts[what]++
	return n
}

func notFound(what, id string) error {
	return status.Errorf(codes.NotFound, "%s %q not found", what, id)
}

// RunPodSandbox makes a sandbox with an address of 10.77.0.0/16.
func (r *Runtime) RunPodSandbox(_ context.Context, config *runtimeapi.PodSandboxConfig, _ string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.next("RunPodSandbox")
	if msg := nth(r.Sandbox.Run, n); msg != "" {
		return "", status.Error(codes.Unknown, msg)
	}
	id := r.addSandbox(config)
	if after := time.Duration(r.Sandbox.Extra); after > 0 && n == 0 {
		time.AfterFunc(after, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.addSandbox(config)
			r.tell(config.GetMetadata().GetUid(), id, runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT)
		})
	}
	return id, nil
}

func (r *Runtime) addSandbox(config *runtimeapi.PodSandboxConfig) string {
	r.serial++
	s := &sandbox{
		id: fmt.Sprintf("s-%s-%d", config.GetMetadata().GetName(), r.serial), config: config, ready: true, created: time.Now(),
	}
	if config.GetLinux().GetSecurityContext().GetNamespaceOptions().GetNetwork() != runtimeapi.NamespaceMode_NODE {
		s.ip = fmt.Sprintf("10.77.%d.%d", r.serial/250, 2+r.serial%250)
	}
	if r.sandboxes == nil {
		r.sandboxes = map[string]*sandbox{}
	}
	r.sandboxes[s.id] = s
	// Past the list, sandboxes live: a script that says {die: [5s]} means one death.
	if n := r.next("sandbox"); n < len(r.Sandbox.Die) {
		s.timer = time.AfterFunc(time.Duration(r.Sandbox.Die[n]), func() { r.dies(s) })
	}
	return s.id
}

// dies is a sandbox's end that nobody asked for.
func (r *Runtime) dies(s *sandbox) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !s.ready {
		return
	}
	s.ready = false
	for _, c := range r.containers {
		if c.sandbox == s.id && !r.Sandbox.Keep {
			r.exit(c, 137, "")
		}
	}
	r.tell(s.config.GetMetadata().GetUid(), s.id, runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT)
}

// StopPodSandbox ends a sandbox and kills what runs in it.
func (r *Runtime) StopPodSandbox(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sandboxes[id]
	if s == nil {
		return nil
	}
	s.ready = false
	if s.timer != nil {
		s.timer.Stop()
	}
	for _, c := range r.containers {
		if c.sandbox == id {
			r.exit(c, 137, "")
		}
	}
	return nil
}

// RemovePodSandbox removes a sandbox and the containers in it.
func (r *Runtime) RemovePodSandbox(ctx context.Context, id string) error {
	if err := r.StopPodSandbox(ctx, id); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for cid, c := range r.containers {
		if c.sandbox == id {
			delete(r.containers, cid)
		}
	}
	delete(r.sandboxes, id)
	return nil
}

// PodSandboxStatus returns NotFound for an unknown sandbox.
func (r *Runtime) PodSandboxStatus(_ context.Context, id string, _ bool) (*runtimeapi.PodSandboxStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sandboxes[id]
	if s == nil {
		return nil, notFound("sandbox", id)
	}
	return &runtimeapi.PodSandboxStatusResponse{Status: s.status()}, nil
}

func (s *sandbox) state() runtimeapi.PodSandboxState {
	if s.ready {
		return runtimeapi.PodSandboxState_SANDBOX_READY
	}
	return runtimeapi.PodSandboxState_SANDBOX_NOTREADY
}

func (s *sandbox) status() *runtimeapi.PodSandboxStatus {
	return &runtimeapi.PodSandboxStatus{
		Id: s.id, Metadata: s.config.GetMetadata(), State: s.state(), CreatedAt: s.created.UnixNano(),
		Network: &runtimeapi.PodSandboxNetworkStatus{Ip: s.ip},
		Linux: &runtimeapi.LinuxPodSandboxStatus{Namespaces: &runtimeapi.Namespace{
			Options: s.config.GetLinux().GetSecurityContext().GetNamespaceOptions(),
		}},
		Labels: s.config.GetLabels(), Annotations: s.config.GetAnnotations(),
	}
}

// ListPodSandbox filters by id, state and labels.
func (r *Runtime) ListPodSandbox(_ context.Context, f *runtimeapi.PodSandboxFilter) ([]*runtimeapi.PodSandbox, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*runtimeapi.PodSandbox
	for _, s := range r.sandboxes {
		if f.GetId() != "" && f.GetId() != s.id || !labelled(s.config.GetLabels(), f.GetLabelSelector()) ||
			f.GetState() != nil && f.GetState().GetState() != s.state() {
			continue
		}
		out = append(out, &runtimeapi.PodSandbox{
			Id: s.id, Metadata: s.config.GetMetadata(), State: s.state(), CreatedAt: s.created.UnixNano(),
			Labels: s.config.GetLabels(), Annotations: s.config.GetAnnotations(),
		})
	}
	return out, nil
}

func labelled(labels, want map[string]string) bool {
	for k, v := range want {
		if labels[k] != v {
			return false
		}
	}
	return true
}
