package lifecycletest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type container struct {
	id      string
	sandbox string
	pod     string // uid
	config  *runtimeapi.ContainerConfig
	logs    string
	script  Script
	run     Run

	state                      runtimeapi.ContainerState
	created, started, finished time.Time
	exitCode                   int32
	reason, message            string
	timer                      *time.Timer
	exited                     chan struct{}
}

// CreateContainer makes a container in a ready sandbox.
func (r *Runtime) CreateContainer(_ context.Context, sandboxID string, config *runtimeapi.ContainerConfig, sandboxConfig *runtimeapi.PodSandboxConfig) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sandboxes[sandboxID]
	if s == nil {
		return "", notFound("sandbox", sandboxID)
	}
	name := config.GetMetadata().GetName()
	script := r.Scripts[name]
	if msg := nth(script.Create, r.next("create/"+name)); msg != "" {
		return "", status.Error(codes.Unknown, msg)
	}
	r.serial++
	c := &container{
		id:      fmt.Sprintf("c-%s_%s_%d-%d", s.config.GetMetadata().GetName(), name, config.GetMetadata().GetAttempt(), r.serial),
		sandbox: sandboxID, pod: s.config.GetMetadata().GetUid(), config: config, script: script, created: time.Now(),
		logs: filepath.Join(sandboxConfig.GetLogDirectory(), config.GetLogPath()), exited: make(chan struct{}),
	}
	if r.containers == nil {
		r.containers = map[string]*container{}
	}
	r.containers[c.id] = c
	r.tell(c.pod, c.id, runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT)
	return c.id, nil
}

// StartContainer starts the program of a created container.
func (r *Runtime) StartContainer(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.containers[id]
	if c == nil {
		return notFound("container", id)
	}
	if c.state != runtimeapi.ContainerState_CONTAINER_CREATED {
		return status.Errorf(codes.FailedPrecondition, "container %q is in state %v", id, c.state)
	}
	name := c.config.GetMetadata().GetName()
	if msg := nth(c.script.Start, r.next("start/"+name)); msg != "" {
		c.reason, c.message = "StartError", msg
		r.exit(c, 128, "StartError")
		return status.Error(codes.Unknown, msg)
	}
	c.run = nth(c.script.Runs, r.next("run/"+name))
	c.state, c.started = runtimeapi.ContainerState_CONTAINER_RUNNING, time.Now()
	if c.run.For > 0 {
		c.timer = time.AfterFunc(time.Duration(c.run.For), func() { r.ends(c, c.run.Exit, c.run.Reason) })
	}
	r.tell(c.pod, c.id, runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT)
	return nil
}

// ends is exit for a timer.
func (r *Runtime) ends(c *container, code int32, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exit(c, code, reason)
}

// exit ends a container once.
func (r *Runtime) exit(c *container, code int32, reason string) {
	if c.state == runtimeapi.ContainerState_CONTAINER_EXITED {
		return
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	if reason == "" {
		if reason = "Error"; code == 0 {
			reason = "Completed"
		}
	}
	c.state, c.finished, c.exitCode, c.reason = runtimeapi.ContainerState_CONTAINER_EXITED, time.Now(), code, reason
	c.writeFiles()
	close(c.exited)
	r.tell(c.pod, c.id, runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT)
}

// writeFiles leaves the last words and the log where a real program would.
func (c *container) writeFiles() {
	if c.run.Log != "" {
		var b strings.Builder
		for line := range strings.Lines(c.run.Log) {
			b.WriteString(c.finished.UTC().Format("2006-01-02T15:04:05.000000000Z") + " stdout F " + strings.TrimSuffix(line, "\n") + "\n")
		}
		_ = os.WriteFile(c.logs, []byte(b.String()), 0o600)
	}
	for _, m := range c.config.GetMounts() {
		if c.run.Message != "" && m.GetContainerPath() == c.config.GetAnnotations()["io.kubernetes.container.terminationMessagePath"] {
			_ = os.WriteFile(m.GetHostPath(), []byte(c.run.Message), 0o600)
		}
	}
}

// StopContainer sends the stop signal, and kills after timeout seconds.
func (r *Runtime) StopContainer(ctx context.Context, id string, timeout int64) error {
	r.mu.Lock()
	c := r.containers[id]
	if c == nil || c.state == runtimeapi.ContainerState_CONTAINER_EXITED {
		r.mu.Unlock()
		return nil
	}
	if !c.run.IgnoreTERM {
		code := int32(143)
		if c.run.TermExit != nil {
			code = *c.run.TermExit
		}
		if c.run.TermAfter == 0 {
			r.exit(c, code, "")
		} else {
			time.AfterFunc(time.Duration(c.run.TermAfter), func() { r.ends(c, code, "") })
		}
	}
	r.mu.Unlock()
	select {
	case <-c.exited:
	case <-time.After(time.Duration(timeout) * time.Second):
		r.ends(c, 137, "")
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
	return nil
}

// RemoveContainer kills and forgets a container.
func (r *Runtime) RemoveContainer(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.containers[id]; c != nil {
		r.exit(c, 137, "")
		delete(r.containers, id)
		r.tell(c.pod, c.id, runtimeapi.ContainerEventType_CONTAINER_DELETED_EVENT)
	}
	return nil
}

// ListContainers filters by id, sandbox, state and labels.
func (r *Runtime) ListContainers(_ context.Context, f *runtimeapi.ContainerFilter) ([]*runtimeapi.Container, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*runtimeapi.Container
	for _, c := range r.containers {
		if f.GetId() != "" && f.GetId() != c.id || f.GetPodSandboxId() != "" && f.GetPodSandboxId() != c.sandbox ||
			!labelled(c.config.GetLabels(), f.GetLabelSelector()) || f.GetState() != nil && f.GetState().GetState() != c.state {
			continue
		}
		out = append(out, &runtimeapi.Container{
			Id: c.id, PodSandboxId: c.sandbox, Metadata: c.config.GetMetadata(), Image: c.config.GetImage(),
			ImageRef: c.config.GetImage().GetImage(), State: c.state, CreatedAt: c.created.UnixNano(),
			Labels: c.config.GetLabels(), Annotations: c.config.GetAnnotations(),
		})
	}
	return out, nil
}

// ContainerStatus returns NotFound for an unknown container.
func (r *Runtime) ContainerStatus(_ context.Context, id string, _ bool) (*runtimeapi.ContainerStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.containers[id]
	if c == nil {
		return nil, notFound("container", id)
	}
	return &runtimeapi.ContainerStatusResponse{Status: &runtimeapi.ContainerStatus{
		Id: c.id, Metadata: c.config.GetMetadata(), State: c.state, CreatedAt: c.created.UnixNano(),
		StartedAt: nanos(c.started), FinishedAt: nanos(c.finished), ExitCode: c.exitCode, Reason: c.reason, Message: c.message,
		Image: &runtimeapi.ImageSpec{Image: c.config.GetImage().GetUserSpecifiedImage()}, ImageRef: c.config.GetImage().GetImage(),
		ImageId: c.config.GetImage().GetImage(), Labels: c.config.GetLabels(), Annotations: c.config.GetAnnotations(),
		Mounts: c.config.GetMounts(), LogPath: c.logs,
	}}, nil
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
