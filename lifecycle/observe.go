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
	complete := len(boxes) > 0
	for _, b := range boxes {
		s, err := w.r.Runtime.PodSandboxStatus(ctx, b.Id, false)
		if gone(err) {
			continue
		} else if err != nil {
			return o, fmt.Errorf("status of sandbox %s: %w", b.Id, err)
		}
		o.Sandboxes = append(o.Sandboxes, sandbox(s.GetStatus()))
		// With a time it has the containers, too, as CRI says. Others are listed.
		complete = complete && s.GetTimestamp() != 0
		for _, c := range s.GetContainersStatuses() {
			o.Containers = append(o.Containers, w.container(c, b.Id))
		}
	}
	if !complete {
		o.Containers, err = w.listContainers(ctx, mine)
	}
	return o, err
}

func (w *worker) listContainers(ctx context.Context, mine map[string]string) (all []plan.Container, err error) {
	list, err := w.r.Runtime.ListContainers(ctx, &runtimeapi.ContainerFilter{LabelSelector: mine})
	if err != nil {
		return nil, fmt.Errorf("list containers of pod %s: %w", w.name(), err)
	}
	for _, c := range list {
		resp, err := w.r.Runtime.ContainerStatus(ctx, c.Id, false)
		if gone(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("status of container %s: %w", c.Id, err)
		}
		all = append(all, w.container(resp.GetStatus(), c.PodSandboxId))
	}
	return all, nil
}

// gone tells an object that ended between a list and its status.
func gone(err error) bool { return err != nil && status.Code(err) == codes.NotFound }

func sandbox(st *runtimeapi.PodSandboxStatus) plan.Sandbox {
	s := plan.Sandbox{
		ID: st.GetId(), Attempt: st.GetMetadata().GetAttempt(), CreatedAt: time.Unix(0, st.GetCreatedAt()),
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
	return s
}

func (w *worker) container(st *runtimeapi.ContainerStatus, sandboxID string) plan.Container {
	out := plan.Container{
		ID: st.GetId(), Runtime: w.r.RuntimeName, Name: st.GetMetadata().GetName(), SandboxID: sandboxID,
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
	return out
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
