package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	"github.com/lifepod/lifepod/schedule"
	"github.com/lifepod/lifepod/store/memory"
	"github.com/lifepod/lifepod/store/typed"
	"github.com/lifepod/lifepod/store/typed/core"
)

// source is a typed client as a schedule.Source: all that wiring takes.
func source(c typed.Client, r typed.Resource) schedule.Source {
	return func(ctx context.Context) iter.Seq2[watch.Event, error] {
		return c.Watch(ctx, r, "", metav1.ListOptions{
			AllowWatchBookmarks: true, SendInitialEvents: ptr.To(true), ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
		})
	}
}

func node(name, cpu string, change ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}}}
	for _, c := range change {
		c(n)
	}
	return n
}

func pod(name, cpu string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.PodSpec{SchedulerName: corev1.DefaultSchedulerName, Containers: []corev1.Container{{
			Name: "c", Image: "i", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("64Mi")}},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
}

// run runs a scheduler over c in a bubble; the returned function ends it.
func run(t *testing.T, c *core.Client, o schedule.Options) func() {
	t.Helper()
	o.Pods, o.Nodes = source(c, core.Pod), source(c, core.Node)
	if o.Binder == nil {
		o.Binder = c
	}
	o.Status = core.Pods(c)
	o.Events = &core.Recorder{Client: c, Source: corev1.EventSource{Component: "default-scheduler"}, OnError: func(err error) { t.Error(err) }}
	o.Tie = func(int) int { return 0 }
	s, err := schedule.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	synctest.Wait()
	return func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ends with %v", err)
		}
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func events(t *testing.T, c *core.Client, pod string) []string {
	list, _, err := core.Events(c).List(t.Context(), "default", metav1.ListOptions{FieldSelector: "involvedObject.name=" + pod})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		out = append(out, e.Type+" "+e.Reason+": "+e.Message)
	}
	return out
}

func TestBindsAndCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := core.New(new(memory.Store))
		must[*corev1.Node](t)(core.Nodes(c).Create(t.Context(), node("a", "2")))
		must[*corev1.Node](t)(core.Nodes(c).Create(t.Context(), node("b", "1")))
		defer run(t, c, schedule.Options{})()
		for i := range 3 {
			must[*corev1.Pod](t)(core.Pods(c).Create(t.Context(), pod(fmt.Sprint("p", i), "900m")))
		}
		synctest.Wait()
		var at []string
		for i := range 3 {
			p := must[*corev1.Pod](t)(core.Pods(c).Get(t.Context(), "default", fmt.Sprint("p", i)))
			at = append(at, p.Spec.NodeName)
		}
		slices.Sort(at)
		if fmt.Sprint(at) != "[a a b]" {
			t.Errorf("pods are on %v, want two on a and one on b", at)
		}
		want := []string{"Normal Scheduled: Successfully assigned default/p0 to a"}
		if got := events(t, c, "p0"); !slices.Equal(got, want) {
			t.Errorf("events %q, want %q", got, want)
		}
	})
}

// The message, the condition, and that room is seen: by a node that comes, by a
// pod that ends, by a pod that is deleted.
func TestWaitsForRoom(t *testing.T) {
	for name, makeRoom := range map[string]func(t *testing.T, c *core.Client){
		"a node comes": func(t *testing.T, c *core.Client) {
			must[*corev1.Node](t)(core.Nodes(c).Create(t.Context(), node("new", "4")))
		},
		"a node is uncordoned": func(t *testing.T, c *core.Client) {
			n := must[*corev1.Node](t)(core.Nodes(c).Get(t.Context(), "", "cordoned"))
			n.Spec.Unschedulable = false
			must[*corev1.Node](t)(core.Nodes(c).Update(t.Context(), n))
		},
		"a pod ends": func(t *testing.T, c *core.Client) {
			p := must[*corev1.Pod](t)(core.Pods(c).Get(t.Context(), "default", "first"))
			p.Status.Phase = corev1.PodSucceeded
			must[*corev1.Pod](t)(core.Pods(c).UpdateStatus(t.Context(), p))
		},
		"a pod is deleted": func(t *testing.T, c *core.Client) {
			if err := core.Pods(c).Delete(t.Context(), "default", "first", metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := core.New(new(memory.Store))
				must[*corev1.Node](t)(core.Nodes(c).Create(t.Context(), node("small", "2")))
				must[*corev1.Node](t)(core.Nodes(c).Create(t.Context(), node("cordoned", "9", func(n *corev1.Node) { n.Spec.Unschedulable = true })))
				must[*corev1.Node](t)(core.Nodes(c).Create(t.Context(), node("tainted", "9", func(n *corev1.Node) {
					n.Spec.Taints = []corev1.Taint{{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}}
				})))
				defer run(t, c, schedule.Options{})()
				must[*corev1.Pod](t)(core.Pods(c).Create(t.Context(), pod("first", "2")))
				synctest.Wait()
				must[*corev1.Pod](t)(core.Pods(c).Create(t.Context(), pod("second", "2")))
				synctest.Wait()
				msg := "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable."
				p := must[*corev1.Pod](t)(core.Pods(c).Get(t.Context(), "default", "second"))
				if len(p.Status.Conditions) != 1 || p.Status.Conditions[0].Reason != "Unschedulable" || p.Status.Conditions[0].Message != msg {
					t.Errorf("conditions %+v, want message %q", p.Status.Conditions, msg)
				}
				if got := events(t, c, "second"); !slices.Equal(got, []string{"Warning FailedScheduling: " + msg}) {
					t.Errorf("events %q", got)
				}
				makeRoom(t, c)
				synctest.Wait()
				p = must[*corev1.Pod](t)(core.Pods(c).Get(t.Context(), "default", "second"))
				if p.Spec.NodeName == "" || p.Status.Conditions[0].Status != corev1.ConditionTrue {
					t.Errorf("still not bound: %q %+v", p.Spec.NodeName, p.Status.Conditions)
				}
			})
		})
	}
}

// What is not ours is left alone.
func TestLeavesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := core.New(new(memory.Store))
		must[*corev1.Node](t)(core.Nodes(c).Create(t.Context(), node("a", "2")))
		defer run(t, c, schedule.Options{})()
		other, gated := pod("other", "1"), pod("gated", "1")
		other.Spec.SchedulerName = "mine"
		gated.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
		for _, p := range []*corev1.Pod{other, gated} {
			must[*corev1.Pod](t)(core.Pods(c).Create(t.Context(), p))
		}
		time.Sleep(time.Hour)
		for _, name := range []string{"other", "gated"} {
			if p := must[*corev1.Pod](t)(core.Pods(c).Get(t.Context(), "default", name)); p.Spec.NodeName != "" || len(p.Status.Conditions) > 0 {
				t.Errorf("%s: node %q, %+v", name, p.Spec.NodeName, p.Status.Conditions)
			}
		}
		p := must[*corev1.Pod](t)(core.Pods(c).Get(t.Context(), "default", "gated"))
		p.Spec.SchedulingGates = nil
		must[*corev1.Pod](t)(core.Pods(c).Update(t.Context(), p))
		synctest.Wait()
		if p := must[*corev1.Pod](t)(core.Pods(c).Get(t.Context(), "default", "gated")); p.Spec.NodeName != "a" {
			t.Error("the gate is gone but the pod has no node")
		}
	})
}

// A failed bind gives the room back, and is tried again after 1, 2, 4 s.
func TestBindFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := core.New(new(memory.Store))
		must[*corev1.Node](t)(core.Nodes(c).Create(t.Context(), node("a", "1")))
		start := time.Now()
		var tries []time.Duration
		defer run(t, c, schedule.Options{Binder: schedule.BindFunc(func(ctx context.Context, b *corev1.Binding) error {
			if tries = append(tries, time.Since(start)); len(tries) < 4 {
				return errors.New("no route to host")
			}
			return c.Bind(ctx, b)
		})})()
		must[*corev1.Pod](t)(core.Pods(c).Create(t.Context(), pod("p", "1")))
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second}; !slices.Equal(tries, want) {
			t.Errorf("tried at %v, want %v", tries, want)
		}
		if p := must[*corev1.Pod](t)(core.Pods(c).Get(t.Context(), "default", "p")); p.Spec.NodeName != "a" {
			t.Error("not bound in the end")
		}
	})
}

// After a watch that lost its place, what vanished meanwhile takes no room.
func TestBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New(memory.Options{History: 2})
		c := core.New(mem)
		must[*corev1.Node](t)(core.Nodes(c).Create(t.Context(), node("a", "1")))
		p := pod("old", "1")
		p.Spec.NodeName = "a"
		must[*corev1.Pod](t)(core.Pods(c).Create(t.Context(), p))
		pause := make(chan struct{})
		slow := func(ctx context.Context) iter.Seq2[watch.Event, error] {
			return func(yield func(watch.Event, error) bool) {
				for ev, err := range source(c, core.Pod)(ctx) {
					if !yield(ev, err) {
						return
					}
					if ev.Type == watch.Bookmark {
						<-pause
					}
				}
			}
		}
		s, err := schedule.New(schedule.Options{Pods: slow, Nodes: source(c, core.Node), Binder: c})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()
		_ = core.Pods(c).Delete(ctx, "default", "old", metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)})
		for i := range 5 { // pushes the removal out of the history
			gone := pod(fmt.Sprint("gone", i), "1")
			gone.Spec.SchedulerName = "nobody"
			must[*corev1.Pod](t)(core.Pods(c).Create(ctx, gone))
		}
		must[*corev1.Pod](t)(core.Pods(c).Create(ctx, pod("new", "1")))
		close(pause)
		synctest.Wait()
		if p := must[*corev1.Pod](t)(core.Pods(c).Get(ctx, "default", "new")); p.Spec.NodeName != "a" {
			t.Error("the deleted pod still takes its room")
		}
		cancel()
		<-done
	})
}
