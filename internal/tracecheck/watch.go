package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/exec"

	"github.com/lifepod/lifepod/lifecycle/lifecycletest"
	"github.com/lifepod/lifepod/lifecycle/plan"
)

// watched is a runtime whose calls are written down as the recordings have them.
type watched struct {
	*lifecycletest.Runtime
	begun time.Time

	mu   sync.Mutex
	out  *record
	said map[string]bool // events that were told
}

func (w *watched) now() int64 { return time.Since(w.begun).Milliseconds() }

// begin notes a call; the function that it returns notes its end.
func (w *watched) begin(c call) func(ctx context.Context, err error, more ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.T, c.End = w.now(), -1
	i := len(w.out.Calls)
	w.out.Calls = append(w.out.Calls, c)
	return func(ctx context.Context, err error, more ...any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		c := &w.out.Calls[i]
		c.End = w.now()
		if c.Fields == nil {
			c.Fields = map[string]any{}
		}
		for k := 0; k+1 < len(more); k += 2 {
			c.Fields[more[k].(string)] = more[k+1]
		}
		switch {
		case err != nil && ctx.Err() != nil:
			c.Fields["cancelled"] = true
		case err != nil && len(more) == 0:
			c.Err = err.Error()
		}
	}
}

func namespaces(o *runtimeapi.NamespaceOption) string {
	return fmt.Sprintf("net=%s pid=%s ipc=%s", o.GetNetwork(), o.GetPid(), o.GetIpc())
}

func attempt(n uint32) *uint32 { return &n }

// RunPodSandbox is recorded with its hostname and namespaces.
func (w *watched) RunPodSandbox(ctx context.Context, cfg *runtimeapi.PodSandboxConfig, handler string) (string, error) {
	n := cfg.GetMetadata().GetAttempt()
	end := w.begin(call{RPC: "RunPodSandbox", Attempt: attempt(n), Fields: map[string]any{
		"hostname": cfg.GetHostname(), "namespaces": namespaces(cfg.GetLinux().GetSecurityContext().GetNamespaceOptions()),
	}})
	id, err := w.Runtime.RunPodSandbox(ctx, cfg, handler)
	end(ctx, err)
	return id, err
}

func (w *watched) sandboxCall(ctx context.Context, rpc, id string, do func(context.Context, string) error) error {
	c := call{RPC: rpc}
	if resp, err := w.PodSandboxStatus(ctx, id, false); err == nil {
		c.Attempt = attempt(resp.GetStatus().GetMetadata().GetAttempt())
	}
	end := w.begin(c)
	err := do(ctx, id)
	end(ctx, err)
	return err
}

// StopPodSandbox is recorded.
func (w *watched) StopPodSandbox(ctx context.Context, id string) error {
	return w.sandboxCall(ctx, "StopPodSandbox", id, w.Runtime.StopPodSandbox)
}

// RemovePodSandbox is recorded.
func (w *watched) RemovePodSandbox(ctx context.Context, id string) error {
	return w.sandboxCall(ctx, "RemovePodSandbox", id, w.Runtime.RemovePodSandbox)
}

// CreateContainer is recorded with its image, log, namespaces and OOM score.
func (w *watched) CreateContainer(ctx context.Context, box string, cfg *runtimeapi.ContainerConfig, sandbox *runtimeapi.PodSandboxConfig) (string, error) {
	c := call{RPC: "CreateContainer", Container: cfg.GetMetadata().GetName(), Attempt: attempt(cfg.GetMetadata().GetAttempt()), Fields: map[string]any{
		"image": cfg.GetImage().GetUserSpecifiedImage(), "log": cfg.GetLogPath(),
		"namespaces":  namespaces(cfg.GetLinux().GetSecurityContext().GetNamespaceOptions()),
		"oomScoreAdj": cfg.GetLinux().GetResources().GetOomScoreAdj(),
	}}
	end := w.begin(c)
	id, err := w.Runtime.CreateContainer(ctx, box, cfg, sandbox)
	end(ctx, err)
	return id, err
}

func (w *watched) containerCall(ctx context.Context, rpc, id string, fields map[string]any, do func() error) error {
	c := call{RPC: rpc, Fields: fields}
	if resp, err := w.ContainerStatus(ctx, id, false); err == nil {
		m := resp.GetStatus().GetMetadata()
		c.Container, c.Attempt = m.GetName(), attempt(m.GetAttempt())
	}
	end := w.begin(c)
	err := do()
	end(ctx, err)
	return err
}

// StartContainer is recorded.
func (w *watched) StartContainer(ctx context.Context, id string) error {
	return w.containerCall(ctx, "StartContainer", id, nil, func() error { return w.Runtime.StartContainer(ctx, id) })
}

// StopContainer is recorded with its timeout.
func (w *watched) StopContainer(ctx context.Context, id string, timeout int64) error {
	return w.containerCall(ctx, "StopContainer", id, map[string]any{"timeout": timeout}, func() error {
		return w.Runtime.StopContainer(ctx, id, timeout)
	})
}

// RemoveContainer is recorded.
func (w *watched) RemoveContainer(ctx context.Context, id string) error {
	return w.containerCall(ctx, "RemoveContainer", id, nil, func() error { return w.Runtime.RemoveContainer(ctx, id) })
}

// ExecSync is recorded with the command and how it ended.
func (w *watched) ExecSync(ctx context.Context, id string, cmd []string, timeout time.Duration) (stdout, stderr []byte, err error) {
	c := call{RPC: "ExecSync", Fields: map[string]any{"cmd": join(cmd), "timeout": int64(timeout / time.Second)}}
	resp, _ := w.ContainerStatus(ctx, id, false)
	c.Container, c.Attempt = resp.GetStatus().GetMetadata().GetName(), attempt(resp.GetStatus().GetMetadata().GetAttempt())
	end := w.begin(c)
	stdout, stderr, err = w.Runtime.ExecSync(ctx, id, cmd, timeout)
	code, ended := err.(exec.ExitError) //nolint:errorlint // as the fake returns it
	after, _ := w.ContainerStatus(context.WithoutCancel(ctx), id, false)
	switch {
	case err == nil:
		end(ctx, nil, "exit", 0)
	case ended && code.ExitStatus() == 137 && after.GetStatus().GetState() == runtimeapi.ContainerState_CONTAINER_EXITED:
		end(ctx, err, "killed", true)
	case ended:
		end(ctx, err, "exit", code.ExitStatus())
	default:
		end(ctx, err)
	}
	return stdout, stderr, err
}

func join(words []string) string {
	out := ""
	for i, word := range words {
		if i > 0 {
			out += " "
		}
		out += word
	}
	return out
}

// ImageStatus is recorded with its container.
func (w *watched) ImageStatus(ctx context.Context, image *runtimeapi.ImageSpec, verbose bool) (*runtimeapi.ImageStatusResponse, error) {
	end := w.begin(call{RPC: "ImageStatus", Container: w.ImageOf(image.GetImage())})
	resp, err := w.Runtime.ImageStatus(ctx, image, verbose)
	end(ctx, err)
	return resp, err
}

// PullImage is recorded with its image.
func (w *watched) PullImage(ctx context.Context, image *runtimeapi.ImageSpec, auth *runtimeapi.AuthConfig, sandbox *runtimeapi.PodSandboxConfig) (string, error) {
	end := w.begin(call{RPC: "PullImage", Container: w.ImageOf(image.GetImage()), Fields: map[string]any{"image": image.GetImage()}})
	ref, err := w.Runtime.PullImage(ctx, image, auth, sandbox)
	end(ctx, err)
	return ref, err
}

func (w *watched) onStatus(_ *corev1.Pod, s corev1.PodStatus) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out.Statuses = append(w.out.Statuses, statusAt{w.now(), *s.DeepCopy()})
}

// onEvent lists an event once, as an API server counts repeated ones in one
// object.
func (w *watched) onEvent(_ *corev1.Pod, e plan.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := fmt.Sprint(e)
	if w.said[key] {
		return
	}
	if w.said == nil {
		w.said = map[string]bool{}
	}
	w.said[key] = true
	w.out.Events = append(w.out.Events, eventAt{w.now(), e.Type, e.Reason, e.FieldPath, e.Message})
}
