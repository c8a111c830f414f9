package lifecycle

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/lifecycle/plan"
	"github.com/lifepod/lifepod/lifecycle/podspec"
)

// observe asks the runtime for everything that belongs to the pod.
func (w *worker) observe(ctx context.Context) (plan.Observed, error) {
	o := plan.Observed{Cgroup: w.presence(plan.EnsureCgroup{}.Key()), Volumes: w.presence(plan.SetUpVolumes{}.Key())}
	mine := map[string]string{podspec.LabelPodUID: string(w.pod().UID)}
	o.Attempts = w.attemptsByLog()
	boxes, err := w.r.Runtime.ListPodSandbox(ctx, &runtimeapi.PodSandboxFilter{LabelSelector: mine})
	if err != nil {
		return o, fmt.Errorf("list sandboxes of pod %s: %w", w.name(), err)
	}
	for _, b := range boxes {
		s, err := w.sandbox(ctx, b.Id)
		if gone(err) {
			continue
		} else if err != nil {
			return o, err
		}
		o.Sandboxes = append(o.Sandboxes, s)
	}
	list, err := w.r.Runtime.ListContainers(ctx, &runtimeapi.ContainerFilter{LabelSelector: mine})
	if err != nil {
		return o, fmt.Errorf("list containers of pod %s: %w", w.name(), err)
	}
	for _, c := range list {
		seen, err := w.container(ctx, c)
		if gone(err) {
			continue
		} else if err != nil {
			return o, err
		}
		o.Containers = append(o.Containers, seen)
	}
	return o, nil
}

// gone tells an object that ended between a list and its status.
func gone(err error) bool { return err != nil && status.Code(err) == codes.NotFound }

func (w *worker) sandbox(ctx context.Context, id string) (plan.Sandbox, error) {
	resp, err := w.r.Runtime.PodSandboxStatus(ctx, id, false)
	if err != nil {
		return plan.Sandbox{}, fmt.Errorf("status of sandbox %s: %w", id, err)
	}
	st := resp.GetStatus()
	s := plan.Sandbox{
		ID: id, Attempt: st.GetMetadata().GetAttempt(), CreatedAt: time.Unix(0, st.GetCreatedAt()),
		Ready:           st.GetState() == runtimeapi.PodSandboxState_SANDBOX_READY,
		NetworkReported: st.GetNetwork() != nil,
		HostNetwork:     st.GetLinux().GetNamespaces().GetOptions().GetNetwork() == runtimeapi.NamespaceMode_NODE,
	}
	if net := st.GetNetwork(); net.GetIp() != "" {
		s.IPs = append(s.IPs, net.GetIp())
		for _, ip := range net.GetAdditionalIps() {
			s.IPs = append(s.IPs, ip.GetIp())
		}
	}
	return s, nil
}

func (w *worker) container(ctx context.Context, c *runtimeapi.Container) (plan.Container, error) {
	resp, err := w.r.Runtime.ContainerStatus(ctx, c.Id, false)
	if err != nil {
		return plan.Container{}, fmt.Errorf("status of container %s: %w", c.Id, err)
	}
	st := resp.GetStatus()
	out := plan.Container{
		ID: c.Id, Runtime: w.r.RuntimeName, Name: st.GetMetadata().GetName(), SandboxID: c.PodSandboxId,
		Attempt: st.GetMetadata().GetAttempt(), State: containerState(st.GetState()),
		CreatedAt: instant(st.GetCreatedAt()), StartedAt: instant(st.GetStartedAt()), FinishedAt: instant(st.GetFinishedAt()),
		ExitCode: st.GetExitCode(), Reason: st.GetReason(), Message: st.GetMessage(),
		Image: st.GetImage().GetImage(), ImageRef: st.GetImageRef(), User: containerUser(st.GetUser()),
		Resources: resources(st.GetResources()),
	}
	// A hash that is no number was not written by us; zero means not known.
	hash, _ := strconv.ParseUint(st.GetAnnotations()[podspec.AnnotationHash], 16, 32)
	out.SpecHash = uint32(hash)
	if out.State == plan.Exited {
		out.Message = w.terminationMessage(st)
	}
	return out, nil
}

func containerState(s runtimeapi.ContainerState) plan.ContainerState {
	switch s {
	case runtimeapi.ContainerState_CONTAINER_CREATED:
		return plan.Created
	case runtimeapi.ContainerState_CONTAINER_RUNNING:
		return plan.Running
	case runtimeapi.ContainerState_CONTAINER_EXITED:
		return plan.Exited
	}
	return plan.Unknown
}

// instant reads a CRI time; zero means that it has not come.
func instant(ns int64) time.Time {
	if ns <= 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

func containerUser(u *runtimeapi.ContainerUser) *corev1.ContainerUser {
	l := u.GetLinux()
	if l == nil {
		return nil
	}
	return &corev1.ContainerUser{Linux: &corev1.LinuxContainerUser{
		UID: l.GetUid(), GID: l.GetGid(), SupplementalGroups: l.GetSupplementalGroups(),
	}}
}
