package core_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/lifepod/lifepod/store/memory"
	"github.com/lifepod/lifepod/store/typed"
	"github.com/lifepod/lifepod/store/typed/core"
)

func newClient() *core.Client { return core.New(new(memory.Store)) }

func pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	p.Spec.TerminationGracePeriodSeconds = ptr.To[int64](30)
	p.Status.Phase = corev1.PodPending
	for _, c := range change {
		c(p)
	}
	return p
}

func onNode(p *corev1.Pod) { p.Spec.NodeName = "n1" }

func create(t *testing.T, c typed.Client, p *corev1.Pod) *corev1.Pod {
	t.Helper()
	out, err := core.Pods(c).Create(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCreateFillsMetadata(t *testing.T) {
	p := create(t, newClient(), pod("a"))
	if len(p.UID) != 36 || p.CreationTimestamp.IsZero() || p.Generation != 1 || p.ResourceVersion == "" || p.Kind != "Pod" {
		t.Errorf("created %+v %+v", p.TypeMeta, p.ObjectMeta)
	}
}

// The texts that Kubernetes' API server says, word for word.
func TestErrors(t *testing.T) {
	c := newClient()
	first := create(t, c, pod("a"))
	changed := first.DeepCopy()
	changed.Labels = map[string]string{"x": "y"}
	second, err := core.Pods(c).Update(t.Context(), changed)
	if err != nil {
		t.Fatal(err)
	}
	wrongUID := types.UID("other")
	cases := map[string]struct {
		do   func(typed.Of[*corev1.Pod]) error
		is   func(error) bool
		text string
	}{
		"get absent": {func(p typed.Of[*corev1.Pod]) error { _, err := p.Get(t.Context(), "default", "b"); return err },
			apierrors.IsNotFound, `pods "b" not found`},
		"update absent": {func(p typed.Of[*corev1.Pod]) error { _, err := p.Update(t.Context(), pod("b")); return err },
			apierrors.IsNotFound, `pods "b" not found`},
		"delete absent": {func(p typed.Of[*corev1.Pod]) error {
			return p.Delete(t.Context(), "default", "b", metav1.DeleteOptions{})
		}, apierrors.IsNotFound, `pods "b" not found`},
		"create twice": {func(p typed.Of[*corev1.Pod]) error { _, err := p.Create(t.Context(), pod("a")); return err },
			apierrors.IsAlreadyExists, `pods "a" already exists`},
		"stale update": {func(p typed.Of[*corev1.Pod]) error { _, err := p.Update(t.Context(), first); return err },
			apierrors.IsConflict, `Operation cannot be fulfilled on pods "a": the object has been modified; please apply your changes to the latest version and try again`},
		"stale status": {func(p typed.Of[*corev1.Pod]) error { _, err := p.UpdateStatus(t.Context(), first); return err },
			apierrors.IsConflict, `Operation cannot be fulfilled on pods "a": the object has been modified; please apply your changes to the latest version and try again`},
		"update of another uid": {func(p typed.Of[*corev1.Pod]) error {
			_, err := p.Update(t.Context(), pod("a", func(p *corev1.Pod) { p.UID = "other" }))
			return err
		}, apierrors.IsConflict, `Operation cannot be fulfilled on pods "a": StorageError: invalid object, Code: 4, Key: /registry/pods/default/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: other, UID in object meta: ` + string(first.UID)},
		"delete another uid": {func(p typed.Of[*corev1.Pod]) error {
			return p.Delete(t.Context(), "default", "a", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &wrongUID}})
		}, apierrors.IsConflict, `Operation cannot be fulfilled on Pod "a": the UID in the precondition (other) does not match the UID in record (` + string(first.UID) + `). The object might have been deleted and then recreated`},
		"delete another version": {func(p typed.Of[*corev1.Pod]) error {
			return p.Delete(t.Context(), "default", "a", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &first.ResourceVersion}})
		}, apierrors.IsConflict, `Operation cannot be fulfilled on Pod "a": the ResourceVersion in the precondition (` + first.ResourceVersion + `) does not match the ResourceVersion in record (` + second.ResourceVersion + `). The object might have been modified`},
		"field selector": {func(p typed.Of[*corev1.Pod]) error {
			_, _, err := p.List(t.Context(), "", metav1.ListOptions{FieldSelector: "spec.color=red"})
			return err
		}, apierrors.IsBadRequest, `field label not supported: spec.color`},
		"no name": {func(p typed.Of[*corev1.Pod]) error { _, err := p.Create(t.Context(), pod("")); return err },
			apierrors.IsInvalid, `Pod "" is invalid: metadata.name: Required value: name or generateName is required`},
		"name that is a path": {func(p typed.Of[*corev1.Pod]) error { _, err := p.Create(t.Context(), pod("../x")); return err },
			apierrors.IsInvalid, `Pod "../x" is invalid: metadata.name: Invalid value: "../x": may not contain '/'`},
		"version on create": {func(p typed.Of[*corev1.Pod]) error { _, err := p.Create(t.Context(), first); return err },
			apierrors.IsBadRequest, `resourceVersion should not be set on objects to be created`},
		"foreground deletion": {func(p typed.Of[*corev1.Pod]) error {
			return p.Delete(t.Context(), "default", "a", metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationForeground)})
		}, apierrors.IsBadRequest, `propagationPolicy Foreground is not supported: nothing collects dependents here`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := tc.do(core.Pods(c))
			if err == nil || err.Error() != tc.text || !tc.is(err) {
				t.Errorf("got  %v\nwant %s", err, tc.text)
			}
		})
	}
}

func TestUpdateKeepsStatusAndCountsGenerations(t *testing.T) {
	c := newClient()
	p := create(t, c, pod("a"))
	p.Spec.Containers = []corev1.Container{{Name: "c", Image: "i"}}
	p.Status.Phase = corev1.PodFailed
	p, err := core.Pods(c).Update(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if p.Status.Phase != corev1.PodPending || p.Generation != 2 {
		t.Errorf("Update: phase %s, generation %d, want Pending and 2", p.Status.Phase, p.Generation)
	}
	p.Spec.Containers, p.Status.Phase = nil, corev1.PodRunning
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "X", Name: "x", UID: "x"}}
	p, err = core.Pods(c).UpdateStatus(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if p.Status.Phase != corev1.PodRunning || len(p.Spec.Containers) != 1 || p.Generation != 2 || len(p.OwnerReferences) != 0 {
		t.Errorf("UpdateStatus left %+v %+v", p.ObjectMeta, p.Status)
	}
	again, err := core.Pods(c).UpdateStatus(t.Context(), p)
	if err != nil || again.ResourceVersion != p.ResourceVersion {
		t.Errorf("an update that changes nothing wrote %s after %s (%v)", again.ResourceVersion, p.ResourceVersion, err)
	}
	p.ResourceVersion = ""
	p.Labels = map[string]string{"a": "b"}
	if _, err := core.Pods(c).Update(t.Context(), p); err != nil {
		t.Errorf("unconditional update: %v", err)
	}
}

func TestGenerateName(t *testing.T) {
	c := newClient()
	seen := map[string]bool{}
	for range 20 {
		p := create(t, c, pod("", func(p *corev1.Pod) {
			p.GenerateName = "a-very-long-name-that-is-far-too-long-to-be-kept-as-a-whole-x-"
		}))
		if len(p.Name) != 63 || seen[p.Name] {
			t.Errorf("generated %q", p.Name)
		}
		seen[p.Name] = true
	}
}

// A25 and A26, at fixed times.
func TestDelete(t *testing.T) {
	type step struct {
		after time.Duration
		grace *int64
		do    func(typed.Client) error
		left  string // what remains: deletionTimestamp after the start, grace; "" when gone
	}
	finalizer := func(p *corev1.Pod) { p.Finalizers = []string{"example.com/hold"} }
	release := func(c typed.Client) error {
		p, err := core.Pods(c).Get(context.Background(), "default", "a")
		if err == nil {
			p.Finalizers = nil
			_, err = core.Pods(c).Update(context.Background(), p)
		}
		return err
	}
	cases := map[string]struct {
		pod   *corev1.Pod
		steps []step
	}{
		"the pod's own grace":          {pod("a", onNode), []step{{left: "30s 30"}}},
		"the request's grace":          {pod("a", onNode), []step{{grace: ptr.To[int64](5), left: "5s 5"}}},
		"negative grace is 1":          {pod("a", onNode), []step{{grace: ptr.To[int64](-4), left: "1s 1"}}},
		"grace 0 is now":               {pod("a", onNode), []step{{grace: ptr.To[int64](0)}}},
		"not scheduled":                {pod("a"), []step{{}}},
		"already failed":               {pod("a", onNode, func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), []step{{}}},
		"shorter later":                {pod("a", onNode), []step{{left: "30s 30"}, {after: 2 * time.Second, grace: ptr.To[int64](10), left: "10s 10"}}},
		"shorter than what has passed": {pod("a", onNode), []step{{left: "30s 30"}, {after: 20 * time.Second, grace: ptr.To[int64](10), left: "20s 1"}}},
		"longer later changes nothing": {pod("a", onNode), []step{{left: "30s 30"}, {grace: ptr.To[int64](60), left: "30s 30"}}},
		"again without grace":          {pod("a", onNode), []step{{left: "30s 30"}, {left: "30s 30"}}},
		"the node's last word":         {pod("a", onNode), []step{{left: "30s 30"}, {grace: ptr.To[int64](0)}}},
		"finalizer without grace":      {pod("a", finalizer), []step{{left: "0s 0"}, {left: "0s 0"}, {do: release}}},
		"finalizer with grace": {pod("a", finalizer, onNode), []step{
			{left: "30s 30"}, {do: release, left: "30s 30"}, {grace: ptr.To[int64](0)}}},
		"finalizer after grace": {pod("a", finalizer, onNode), []step{
			{left: "30s 30"}, {after: time.Second, grace: ptr.To[int64](0), left: "1s 0"}, {do: release}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient()
				start := create(t, c, tc.pod).CreationTimestamp
				for i, s := range tc.steps {
					time.Sleep(s.after)
					do := s.do
					if do == nil {
						do = func(c typed.Client) error {
							return core.Pods(c).Delete(t.Context(), "default", "a", metav1.DeleteOptions{GracePeriodSeconds: s.grace})
						}
					}
					if err := do(c); err != nil {
						t.Fatalf("step %d: %v", i, err)
					}
					left := ""
					if p, err := core.Pods(c).Get(t.Context(), "default", "a"); err == nil {
						left = p.DeletionTimestamp.Sub(start.Time).String() + " " + strconv.FormatInt(*p.DeletionGracePeriodSeconds, 10)
						if p.Generation != 2 {
							t.Errorf("step %d: generation %d, want 2", i, p.Generation)
						}
					}
					if left != s.left {
						t.Errorf("step %d leaves %q, want %q", i, left, s.left)
					}
				}
			})
		})
	}
}

func TestBind(t *testing.T) {
	c := newClient()
	p := create(t, c, pod("a"))
	b := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a", UID: p.UID, Labels: map[string]string{"zone": "z"}},
		Target:     corev1.ObjectReference{Kind: "Node", Name: "n1"},
	}
	if err := c.Bind(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	p, _ = core.Pods(c).Get(t.Context(), "default", "a")
	if p.Spec.NodeName != "n1" || p.Labels["zone"] != "z" || len(p.Status.Conditions) != 1 ||
		p.Status.Conditions[0].Type != corev1.PodScheduled || p.Status.Conditions[0].Status != corev1.ConditionTrue {
		t.Errorf("bound: %+v %+v", p.Spec, p.Status)
	}
	err := c.Bind(t.Context(), b)
	if want := `Operation cannot be fulfilled on pods/binding "a": pod a is already assigned to node "n1"`; err == nil || err.Error() != want {
		t.Errorf("second bind: %v", err)
	}
	b.Name = "b"
	if err := c.Bind(t.Context(), b); !apierrors.IsNotFound(err) {
		t.Errorf("bind of nothing: %v", err)
	}
	b.Target.Name = ""
	if err := c.Bind(t.Context(), b); !apierrors.IsInvalid(err) {
		t.Errorf("bind to nothing: %v", err)
	}
}

func TestRecorderCounts(t *testing.T) {
	c := newClient()
	r := &core.Recorder{Client: c, Source: corev1.EventSource{Component: "test"}, OnError: func(err error) { t.Error(err) }}
	p := create(t, c, pod("a"))
	p.TypeMeta = metav1.TypeMeta{}
	for range 3 {
		r.Eventf(p, corev1.EventTypeWarning, "BackOff", "restart %d", 1)
	}
	r.Event(p, corev1.EventTypeNormal, "Started", "Container started")
	events, _, err := core.Events(c).List(t.Context(), "default", metav1.ListOptions{FieldSelector: "involvedObject.name=a,reason=BackOff"})
	if err != nil || len(events) != 1 || events[0].Count != 3 || events[0].InvolvedObject.Kind != "Pod" || events[0].InvolvedObject.UID != p.UID {
		t.Errorf("events %+v, %v", events, err)
	}
}
