package cri

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/lifepod/lifepod/container"
	"github.com/lifepod/lifepod/image"
	"google.golang.org/protobuf/proto"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// lost is the state of a container whose end nobody saw.
func lost(c *ctr) container.State {
	return container.State{ID: c.ID, Status: container.Stopped, CreatedAt: time.Unix(0, c.CreatedAt), ExitCode: container.UnknownExitCode, ExitUnknown: true}
}

// state is where a container stands. One of an earlier boot, or that the runtime
// does not know, has stopped; one that is being removed meanwhile is NotFound.
func (r *Runtime) state(ctx context.Context, c *ctr) (container.State, error) {
	if c.Boot != r.boot {
		return lost(c), nil
	}
	rt, err := r.runtime(c.Handler)
	if err != nil {
		return container.State{}, err
	}
	st, err := rt.State(ctx, c.ID)
	if errors.Is(err, container.ErrNotFound) {
		_, err := r.container(c.ID)
		return lost(c), err
	}
	return st, wrap(err, "ask for the state of container %s", c.ID)
}

type listed struct {
	rec *ctr
	st  container.State
}

// listContainers joins records and states, oldest first, with one call to each
// runtime.
func (r *Runtime) listContainers(ctx context.Context, want func(*ctr) bool) ([]listed, error) {
	recs, err := r.containers.all()
	if err != nil {
		return nil, wrap(err, "list containers")
	}
	states := map[string]map[string]container.State{}
	var out []listed
	for _, c := range recs {
		if c.Phase == making || c.Phase == leaving || !want(c) {
			continue
		}
		if c.Boot != r.boot {
			out = append(out, listed{c, lost(c)})
			continue
		}
		if states[c.Handler] == nil {
			if states[c.Handler], err = r.states(ctx, c.Handler); err != nil {
				return nil, wrap(err, "list containers")
			}
		}
		st, ok := states[c.Handler][c.ID]
		if !ok {
			if _, err := r.container(c.ID); err != nil {
				continue
			}
			st = lost(c)
		}
		out = append(out, listed{c, st})
	}
	slices.SortFunc(out, func(a, b listed) int { return int(a.rec.CreatedAt - b.rec.CreatedAt) })
	return out, nil
}

func (r *Runtime) states(ctx context.Context, handler string) (map[string]container.State, error) {
	rt, err := r.runtime(handler)
	if err != nil {
		return nil, err
	}
	all, err := rt.List(ctx)
	m := make(map[string]container.State, len(all))
	for _, st := range all {
		m[st.ID] = st
	}
	return m, err
}

func criState(st container.State) runtimeapi.ContainerState {
	switch st.Status {
	case container.Created:
		return runtimeapi.ContainerState_CONTAINER_CREATED
	case container.Running:
		return runtimeapi.ContainerState_CONTAINER_RUNNING
	case container.Stopped:
		return runtimeapi.ContainerState_CONTAINER_EXITED
	}
	return runtimeapi.ContainerState_CONTAINER_UNKNOWN
}

// ListContainers lists what the filter selects, oldest first.
func (r *Runtime) ListContainers(ctx context.Context, f *runtimeapi.ContainerFilter) ([]*runtimeapi.Container, error) {
	all, err := r.listContainers(ctx, func(c *ctr) bool {
		return (f.GetId() == "" || f.GetId() == c.ID) && (f.GetPodSandboxId() == "" || f.GetPodSandboxId() == c.Sandbox) &&
			selects(f.GetLabelSelector(), c.Config.GetLabels())
	})
	var out []*runtimeapi.Container
	for _, l := range all {
		if f.GetState() != nil && f.GetState().GetState() != criState(l.st) {
			continue
		}
		c := proto.CloneOf(l.rec.Config)
		out = append(out, &runtimeapi.Container{
			Id: l.rec.ID, PodSandboxId: l.rec.Sandbox, Metadata: c.GetMetadata(), Image: c.GetImage(), ImageRef: l.rec.ImageID,
			ImageId: l.rec.ImageID, State: criState(l.st), CreatedAt: l.rec.CreatedAt, Labels: c.GetLabels(), Annotations: c.GetAnnotations(),
		})
	}
	return out, err
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// ContainerStatus returns NotFound for an unknown container.
func (r *Runtime) ContainerStatus(ctx context.Context, id string, verbose bool) (*runtimeapi.ContainerStatusResponse, error) {
	c, err := r.container(id)
	if err != nil {
		return nil, err
	}
	st, err := r.state(ctx, c)
	if err != nil {
		return nil, err
	}
	resp := &runtimeapi.ContainerStatusResponse{Status: r.containerStatus(ctx, c, st)}
	if verbose {
		resp.Info, err = info(map[string]any{
			"sandboxID": c.Sandbox, "pid": st.Pid, "runtimeHandler": c.Handler, "cgroup": c.Cgroup, "config": c.Config,
			"logDropped": st.LogDropped, "snapshotKey": c.ID,
		})
	}
	return resp, err
}

// info is verbose information as runtimes give it: JSON under one key.
func info(v any) (map[string]string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, wrap(err, "encode verbose information")
	}
	return map[string]string{"info": string(b)}, nil
}

// statuses are those of a sandbox's containers.
func (r *Runtime) statuses(ctx context.Context, sandboxID string) ([]*runtimeapi.ContainerStatus, error) {
	all, err := r.listContainers(ctx, func(c *ctr) bool { return c.Sandbox == sandboxID })
	var out []*runtimeapi.ContainerStatus
	for _, l := range all {
		out = append(out, r.containerStatus(ctx, l.rec, l.st))
	}
	return out, err
}

func (r *Runtime) containerStatus(ctx context.Context, c *ctr, st container.State) *runtimeapi.ContainerStatus {
	cfg := proto.CloneOf(c.Config)
	s := &runtimeapi.ContainerStatus{
		Id: c.ID, Metadata: cfg.GetMetadata(), State: criState(st), CreatedAt: c.CreatedAt, Image: cfg.GetImage(),
		ImageRef: c.ImageID, ImageId: c.ImageID, Labels: cfg.GetLabels(), Annotations: cfg.GetAnnotations(), Mounts: cfg.GetMounts(),
		LogPath: c.Log, Resources: &runtimeapi.ContainerResources{Linux: proto.CloneOf(c.Resources)}, StopSignal: criSignal(c.StopSignal),
		User: user(c),
	}
	// Containers are asked for by the image's ID and shown by its name.
	if img, err := r.o.Images.Get(ctx, c.ImageID); err == nil {
		nameImage(s, img)
	}
	if st.Status != container.Created {
		s.StartedAt = nanos(st.StartedAt)
	}
	if st.Status == container.Stopped {
		s.FinishedAt, s.ExitCode = nanos(st.FinishedAt), int32(st.ExitCode)
		s.Reason, s.Message = outcome(c, st)
	}
	return s
}

func nameImage(s *runtimeapi.ContainerStatus, img image.Image) {
	if len(img.Tags) > 0 {
		s.Image = &runtimeapi.ImageSpec{Image: img.Tags[0], Annotations: s.GetImage().GetAnnotations(), UserSpecifiedImage: s.GetImage().GetUserSpecifiedImage()}
	}
	if len(img.Digests) > 0 {
		s.ImageRef = img.Digests[0]
	}
}

func user(c *ctr) *runtimeapi.ContainerUser {
	u := &runtimeapi.LinuxContainerUser{Uid: int64(c.User.UID), Gid: int64(c.User.GID)}
	for _, g := range c.User.Groups {
		u.SupplementalGroups = append(u.SupplementalGroups, int64(g))
	}
	return &runtimeapi.ContainerUser{Linux: u}
}

// outcome is Kubernetes' word for how a container ended.
func outcome(c *ctr, st container.State) (reason, message string) {
	switch {
	case c.StartError != "":
		return "StartError", c.StartError
	case st.OOMKilled:
		return "OOMKilled", ""
	case st.ExitUnknown:
		return "ContainerStatusUnknown", "nobody saw the container end: the machine was restarted, or what supervised it was killed"
	case st.ExitCode == 0:
		return "Completed", ""
	}
	return "Error", ""
}

// nanos is zero for the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
