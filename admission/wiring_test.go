package admission_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	"github.com/lifepod/lifepod/admission"
	"github.com/lifepod/lifepod/schedule"
	"github.com/lifepod/lifepod/store/memory"
	"github.com/lifepod/lifepod/store/typed"
	"github.com/lifepod/lifepod/store/typed/core"
)

func web(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/web.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// store keeps admitted objects of every kind in c.
func store(c typed.Client) func(context.Context, admission.Object) (admission.Object, error) {
	kinds := map[string]typed.Resource{}
	for _, r := range core.All() {
		kinds[r.Kind.Kind] = r
	}
	return func(ctx context.Context, obj admission.Object) (admission.Object, error) {
		return c.Create(ctx, kinds[obj.GetObjectKind().GroupVersionKind().Kind], obj, metav1.CreateOptions{})
	}
}

func follow(c typed.Client, r typed.Resource) schedule.Source {
	return func(ctx context.Context) iter.Seq2[watch.Event, error] {
		return c.Watch(ctx, r, "", metav1.ListOptions{
			AllowWatchBookmarks: true, SendInitialEvents: ptr.To(true), ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
		})
	}
}

// The blocks in one line: YAML in, admitted, stored, scheduled, bound, watched.
func TestFromManifestToNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := core.New(new(memory.Store))
		_, err := core.Nodes(c).Create(ctx, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "here"},
			Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("4Gi"), corev1.ResourcePods: resource.MustParse("110")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		s, err := schedule.New(schedule.Options{
			Pods: follow(c, core.Pod), Nodes: follow(c, core.Node), Binder: c, Status: core.Pods(c),
			Events: &core.Recorder{Client: c, Source: corev1.EventSource{Component: corev1.DefaultSchedulerName}},
		})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()

		objs, err := admission.Decode(web(t))
		if err != nil {
			t.Fatal(err)
		}
		path := admission.Path{Plugins: admission.Default(), Store: store(c)}
		for _, obj := range objs {
			if _, err := path.Create(ctx, obj); err != nil {
				t.Fatal(err)
			}
		}
		for ev, err := range core.Pods(c).Watch(ctx, "default", metav1.ListOptions{FieldSelector: "spec.nodeName=here"}) {
			if err != nil {
				t.Fatal(err)
			}
			p := ev.Object
			got := fmt.Sprint(ev.Type, " ", p.Name, " ", p.Spec.NodeName, " ", p.Status.Phase, " ", p.Status.QOSClass, " ", p.Status.Conditions[0].Type, " ", p.Status.Conditions[0].Status)
			if got != "ADDED web here Pending Burstable PodScheduled True" {
				t.Errorf("watched %s", got)
			}
			break
		}
		if m, err := core.ConfigMaps(c).Get(ctx, "default", "web-config"); err != nil || m.Data["greeting"] != "hello" {
			t.Errorf("config map %v, %v", m, err)
		}
		cancel()
		<-done
	})
}
