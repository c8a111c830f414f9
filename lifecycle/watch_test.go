package lifecycle

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/lifepod/lifepod/lifecycle/plan"
)

// What is known, or will be after an action under way, is not asked for again; all
// else is.
func TestLooks(t *testing.T) {
	const made, stopped = runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT, runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT
	seen := map[string]plan.Sandbox{"box": {ID: "box", Ready: true}, "dead": {ID: "dead"}}
	for _, c := range []struct {
		name   string
		event  string // of which id
		kind   runtimeapi.ContainerEventType
		acting bool
		done   plan.Action
		looks  bool
	}{
		{name: "nothing", looks: false},
		{name: "an image was looked for", done: plan.CheckImage{}, looks: false},
		{name: "an image was pulled", done: plan.PullImage{}, looks: false},
		{name: "a sandbox was made", done: plan.CreateSandbox{}, looks: true},
		{name: "a seen sandbox is told late", event: "box", kind: made, looks: false},
		{name: "a seen sandbox has ended", event: "box", kind: stopped, looks: true},
		{name: "a sandbox that was not ready", event: "dead", kind: made, looks: true},
		{name: "a new container", event: "c", kind: made, looks: true},
		{name: "a new container during an action", event: "c", kind: made, acting: true, looks: false},
		{name: "a container's end during an action", event: "c", kind: stopped, acting: true, looks: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u"}}
			r := &Runner{workers: map[types.UID]*worker{}}
			r.probes = newProbes(r)
			defer r.probes.close()
			w := &worker{r: r, boxes: seen, wake: make(chan struct{}, 1)}
			w.current.Store(p)
			r.workers[p.UID] = w
			if c.acting {
				w.acting.Add(1)
			}
			if c.event != "" {
				r.hint(&runtimeapi.ContainerEventResponse{
					ContainerId: c.event, ContainerEventType: c.kind,
					PodSandboxStatus: &runtimeapi.PodSandboxStatus{Metadata: &runtimeapi.PodSandboxMetadata{Uid: "u"}},
				})
			}
			if c.done != nil {
				w.finished = []plan.Result{{Action: c.done}}
			}
			if _, looks := w.take(); looks != c.looks {
				t.Errorf("looks: %v, want %v", looks, c.looks)
			}
		})
	}
}
