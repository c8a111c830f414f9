package lifecycletest

import (
	"context"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle"
	"github.com/lifepod/lifepod/lifecycle/plan"
	"github.com/lifepod/lifepod/volume"
)

// Node is a whole runner on fakes: pods that it is given live and die in memory.
type Node struct {
	*lifecycle.Runner
	Runtime *Runtime

	mu       sync.Mutex
	statuses map[string][]Status
	events   map[string][]Event
}

// Status is a pod's status when it changed, Event an event when it was
// recorded.
type (
	Status struct {
		At time.Time
		corev1.PodStatus
	}
	Event struct {
		At time.Time
		plan.Event
	}
)

// New starts a runner on rt (nil: a new one) whose files lie in a temporary
// directory. It is closed at the test's end. The options may be changed before
// it starts.
func New(t testing.TB, rt *Runtime, change ...func(*lifecycle.Options)) *Node {
	t.Helper()
	if rt == nil {
		rt = &Runtime{}
	}
	n := &Node{Runtime: rt, statuses: map[string][]Status{}, events: map[string][]Event{}}
	o := lifecycle.Options{
		Runtime: rt, Images: rt, RuntimeName: "fake", Volumes: NoVolumes{}, Dir: t.TempDir(),
		Node: lifecycle.Node{
			Name: "fake-node", HostIPs: []string{"192.0.2.2"}, ClusterDNS: []string{"192.0.2.10"}, ClusterDomain: "cluster.local",
		},
		OnStatus: n.onStatus, OnEvent: n.onEvent,
	}
	for _, f := range change {
		f(&o)
	}
	var err error
	if n.Runner, err = lifecycle.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func (n *Node) onStatus(p *corev1.Pod, s corev1.PodStatus) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.statuses[p.Name] = append(n.statuses[p.Name], Status{time.Now(), *s.DeepCopy()})
}

func (n *Node) onEvent(p *corev1.Pod, e plan.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events[p.Name] = append(n.events[p.Name], Event{time.Now(), e})
}

// Statuses are all statuses that a pod has had, in their order.
func (n *Node) Statuses(pod string) []Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Status(nil), n.statuses[pod]...)
}

// Events are all events of a pod, in their order.
func (n *Node) Events(pod string) []Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Event(nil), n.events[pod]...)
}

// Last is the pod's newest status.
func (n *Node) Last(pod string) corev1.PodStatus {
	all := n.Statuses(pod)
	if len(all) == 0 {
		return corev1.PodStatus{}
	}
	return all[len(all)-1].PodStatus
}

// NoVolumes makes every volume a directory that does not exist: for pods whose
// containers are scripts.
type NoVolumes struct{}

// SetUp names the volumes.
func (NoVolumes) SetUp(_ context.Context, r volume.Request) (map[string]volume.Mounted, error) {
	out := map[string]volume.Mounted{}
	for _, v := range r.Pod.Spec.Volumes {
		out[v.Name] = volume.Mounted{Name: v.Name, Path: "/volumes/" + v.Name}
	}
	return out, nil
}

// SubPath is the volume's.
func (NoVolumes) SubPath(_ context.Context, r volume.SubPathRequest) (string, error) {
	return r.Volume.Path + "/" + r.SubPath, nil
}

// TearDown has nothing to do.
func (NoVolumes) TearDown(context.Context, string) error { return nil }
