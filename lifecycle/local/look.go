package local

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/lifecycle/logs"
	"github.com/lifepod/lifepod/lifecycle/podspec"
	"github.com/lifepod/lifepod/pod"
)

// PodInfo is a pod of the root as its files and the runtime have it.
type PodInfo struct {
	Pod *corev1.Pod
	// Status is the last one that was decided.
	Status corev1.PodStatus
	// Driven says that a process drives the pod now. Otherwise Since is when one let
	// go of it or, if it was killed, last wrote something down, and nothing restarts,
	// probes or deadlines anything.
	Driven bool
	Since  time.Time
	// Deleting says that its end was asked for.
	Deleting bool
	// Containers are those that really exist, by the runtime.
	Containers []ContainerInfo
}

// ContainerInfo is one container instance in the runtime.
type ContainerInfo struct {
	Name, ID string
	Attempt  uint32
	State    string // created, running, exited, unknown
	Created  time.Time
}

// List looks at all pods of the root, by namespace and name. It disturbs none.
func (n *Node) List(ctx context.Context) ([]PodInfo, error) {
	recs, err := n.records()
	if err != nil {
		return nil, err
	}
	var out []PodInfo
	for _, rec := range recs {
		info, err := n.info(ctx, rec)
		if err != nil {
			return nil, err
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b PodInfo) int {
		return strings.Compare(a.Pod.Namespace+"/"+a.Pod.Name, b.Pod.Namespace+"/"+b.Pod.Name)
	})
	return out, nil
}

func (n *Node) info(ctx context.Context, rec record) (PodInfo, error) {
	info := PodInfo{Pod: rec.Pod, Deleting: rec.Deletion != nil}
	if rec.Memory.Status != nil {
		info.Status = *rec.Memory.Status
	}
	info.Driven, info.Since = n.isDriven(rec.Pod)
	list, err := n.blocks.runtime.ListContainers(ctx, &runtimeapi.ContainerFilter{
		LabelSelector: map[string]string{podspec.LabelPodUID: string(rec.Pod.UID)},
	})
	if err != nil {
		return info, fmt.Errorf("list containers of pod %s: %w", rec.Pod.Name, err)
	}
	for _, c := range list {
		info.Containers = append(info.Containers, containerInfo(c))
	}
	slices.SortFunc(info.Containers, func(a, b ContainerInfo) int {
		return strings.Compare(fmt.Sprint(a.Name, a.Attempt), fmt.Sprint(b.Name, b.Attempt))
	})
	return info, nil
}

func containerInfo(c *runtimeapi.Container) ContainerInfo {
	return ContainerInfo{
		Name: c.GetMetadata().GetName(), ID: c.Id, Attempt: c.GetMetadata().GetAttempt(),
		State:   strings.ToLower(strings.TrimPrefix(c.State.String(), "CONTAINER_")),
		Created: time.Unix(0, c.CreatedAt),
	}
}

// isDriven asks the pod's lock. The last moment it was seen to is the newest of
// its files.
func (n *Node) isDriven(p *corev1.Pod) (bool, time.Time) {
	if n.driven(p.UID) != nil {
		return true, time.Time{}
	}
	lock, err := tryLock(n.lockFile(p.UID))
	if err != nil {
		return true, time.Time{}
	}
	lock.Close()
	var since time.Time
	for _, name := range []string{"status.json", "pod.json", "agent.lock"} {
		if fi, err := os.Stat(filepath.Join(n.podDir(p.UID), name)); err == nil && fi.ModTime().After(since) {
			since = fi.ModTime()
		}
	}
	return false, since
}

// LogOptions choose what Logs writes.
type LogOptions struct {
	// Container may be empty for a pod with one container.
	Container string
	// Follow waits for more until the container or ctx ends.
	Follow bool
	// Previous is the instance before the newest.
	Previous bool
}

// Logs writes a container's output as it was, stdout and stderr apart.
func (n *Node) Logs(ctx context.Context, name string, o LogOptions, stdout, stderr io.Writer) error {
	rec, err := n.find(name)
	if err != nil {
		return err
	}
	c, err := n.instance(ctx, rec, o.Container, o.Previous)
	if err != nil {
		return err
	}
	st, err := n.blocks.runtime.ContainerStatus(ctx, c.ID, false)
	if err != nil {
		return err
	}
	lines := logs.Read(st.GetStatus().GetLogPath())
	if o.Follow {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go n.whenEnded(ctx, c.ID, cancel)
		lines = logs.Follow(ctx, st.GetStatus().GetLogPath())
	}
	for l, err := range lines {
		if err != nil {
			return err
		}
		w := stdout
		if l.Stream == "stderr" {
			w = stderr
		}
		if !l.Partial {
			l.Text = append(l.Text, '\n')
		}
		if _, err := w.Write(l.Text); err != nil {
			return err
		}
	}
	return nil
}

// whenEnded calls then when the container no longer runs.
func (n *Node) whenEnded(ctx context.Context, id string, then func()) {
	ch := make(chan *runtimeapi.ContainerEventResponse, 16)
	go func() {
		_ = n.blocks.runtime.GetContainerEvents(ctx, ch, nil)
	}()
	for {
		st, err := n.blocks.runtime.ContainerStatus(ctx, id, false)
		if err != nil || st.GetStatus().GetState() == runtimeapi.ContainerState_CONTAINER_EXITED {
			then()
			return
		}
		select {
		case <-ch:
		case <-time.After(time.Minute): // a runtime without events
		case <-ctx.Done():
			return
		}
	}
}

// instance finds the newest instance of a container, or the one before. Errors
// have the words of the API server and the kubelet.
func (n *Node) instance(ctx context.Context, rec record, name string, previous bool) (ContainerInfo, error) {
	p := rec.Pod
	if name == "" {
		if len(p.Spec.Containers) > 1 {
			return ContainerInfo{}, fmt.Errorf("a container name must be specified for pod %s, choose one of: %s", p.Name, containerNames(p))
		}
		name = p.Spec.Containers[0].Name
	}
	if c, _ := pod.Find(&p.Spec, name); c == nil {
		return ContainerInfo{}, fmt.Errorf("container %s is not valid for pod %s, choose one of: %s", name, p.Name, containerNames(p))
	}
	list, err := n.blocks.runtime.ListContainers(ctx, &runtimeapi.ContainerFilter{
		LabelSelector: map[string]string{podspec.LabelPodUID: string(p.UID), podspec.LabelContainerName: name},
	})
	if err != nil {
		return ContainerInfo{}, err
	}
	slices.SortFunc(list, func(a, b *runtimeapi.Container) int {
		return int(b.GetMetadata().GetAttempt()) - int(a.GetMetadata().GetAttempt())
	})
	i := 0
	if previous {
		i = 1
	}
	switch {
	case i < len(list):
	case previous:
		return ContainerInfo{}, fmt.Errorf("previous terminated container %q in pod %q not found", name, p.Name)
	default:
		return ContainerInfo{}, fmt.Errorf("container %q in pod %q is %s", name, p.Name, notThere(rec.Memory.Status, name))
	}
	return containerInfo(list[i]), nil
}

// notThere says why a container has no instance.
func notThere(s *corev1.PodStatus, name string) string {
	if s == nil {
		return "not available"
	}
	c := pod.Status(slices.Concat(s.InitContainerStatuses, s.ContainerStatuses), name)
	switch {
	case c == nil:
		return "not available"
	case c.State.Waiting == nil:
		return "terminated"
	case c.State.Waiting.Reason == "ErrImagePull":
		return "waiting to start: image can't be pulled"
	case c.State.Waiting.Reason == "ImagePullBackOff":
		return "waiting to start: trying and failing to pull image"
	}
	return "waiting to start: " + c.State.Waiting.Reason
}

func containerNames(p *corev1.Pod) string {
	var names []string
	for c := range pod.Containers(&p.Spec, pod.All) {
		names = append(names, c.Name)
	}
	return fmt.Sprint(names)
}
