package core_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	"github.com/lifepod/lifepod/store/memory"
	"github.com/lifepod/lifepod/store/typed/core"
)

// W6: what comes into or leaves a selector is ADDED or DELETED.
func TestWatchSelectors(t *testing.T) {
	for name, tc := range map[string]struct {
		o    metav1.ListOptions
		want []string
	}{
		"all":   {metav1.ListOptions{}, []string{"ADDED a", "MODIFIED a n1", "MODIFIED a n1 Running", "DELETED a n1 Running"}},
		"node":  {metav1.ListOptions{FieldSelector: "spec.nodeName=n1"}, []string{"ADDED a n1", "MODIFIED a n1 Running", "DELETED a n1 Running"}},
		"unset": {metav1.ListOptions{FieldSelector: "spec.nodeName="}, []string{"ADDED a", "DELETED a"}},
		"phase": {metav1.ListOptions{FieldSelector: "status.phase!=Running"}, []string{"ADDED a", "MODIFIED a n1", "DELETED a n1"}},
		"name":  {metav1.ListOptions{FieldSelector: "metadata.name=b"}, nil},
		"label": {metav1.ListOptions{LabelSelector: "run=yes"}, []string{"ADDED a n1 Running", "DELETED a n1 Running"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient()
				tc.o.ResourceVersion = "1"
				ctx, cancel := context.WithCancel(t.Context())
				var got []string
				done := make(chan struct{})
				go func() {
					defer close(done)
					for ev, err := range core.Pods(c).Watch(ctx, "default", tc.o) {
						if err == nil {
							got = append(got, line(ev.Type, ev.Object))
						}
					}
				}()
				liveOf(t, c)
				synctest.Wait()
				cancel()
				<-done
				if !slices.Equal(got, tc.want) {
					t.Errorf("watched %q, want %q", got, tc.want)
				}
			})
		})
	}
}

func line(what watch.EventType, p *corev1.Pod) string {
	out := fmt.Sprintf("%s %s", what, p.Name)
	if p.Spec.NodeName != "" {
		out += " " + p.Spec.NodeName
	}
	if p.Status.Phase == corev1.PodRunning {
		out += " Running"
	}
	return out
}

func liveOf(t *testing.T, c *core.Client) {
	create(t, c, pod("a"))
	err := c.Bind(t.Context(), &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a"}, Target: corev1.ObjectReference{Name: "n1"}})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := core.Pods(c).Get(t.Context(), "default", "a")
	p.Status.Phase = corev1.PodRunning
	p.Labels = map[string]string{"run": "yes"}
	if _, err := core.Pods(c).UpdateStatus(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := core.Pods(c).Delete(t.Context(), "default", "a", metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}); err != nil {
		t.Fatal(err)
	}
}

func TestWatchBeginsWithWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient()
		create(t, c, pod("a"))
		last := create(t, c, pod("b"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []string
		start := time.Now()
		for ev, err := range core.Pods(c).Watch(ctx, "", metav1.ListOptions{
			AllowWatchBookmarks: true, SendInitialEvents: ptr.To(true), ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
		}) {
			if err != nil {
				break
			}
			got = append(got, string(ev.Type)+" "+ev.Object.Name+ev.Object.Annotations[metav1.InitialEventsAnnotationKey])
			if ev.Type == watch.Bookmark && ev.Object.ResourceVersion != last.ResourceVersion {
				t.Errorf("bookmark at %s, want %s", ev.Object.ResourceVersion, last.ResourceVersion)
			}
			if len(got) == 4 {
				cancel()
			}
		}
		want := []string{"ADDED a", "ADDED b", "BOOKMARK true", "BOOKMARK "}
		if !slices.Equal(got, want) || time.Since(start) != time.Minute {
			t.Errorf("got %q after %v", got, time.Since(start))
		}
	})
}

func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		c := core.New(s)
		p := create(t, c, pod("a"))
		create(t, c, pod("b"))
		last := create(t, c, pod("c"))
		if err := s.Compact(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		for name, tc := range map[string]struct {
			o  metav1.ListOptions
			is func(error) bool
		}{
			"too old":  {metav1.ListOptions{ResourceVersion: p.ResourceVersion}, apierrors.IsResourceExpired},
			"future":   {metav1.ListOptions{ResourceVersion: "999"}, apierrors.IsTimeout},
			"nonsense": {metav1.ListOptions{ResourceVersion: "x"}, apierrors.IsBadRequest},
			"selector": {metav1.ListOptions{LabelSelector: "a in"}, apierrors.IsBadRequest},
			"timeout": {metav1.ListOptions{ResourceVersion: last.ResourceVersion, TimeoutSeconds: ptr.To[int64](5)},
				func(err error) bool { return err == nil }},
		} {
			var got error
			for _, err := range core.Pods(c).Watch(t.Context(), "", tc.o) {
				got = err
			}
			if !tc.is(got) {
				t.Errorf("%s: %v", name, got)
			}
		}
		_, _, err := core.Pods(c).List(t.Context(), "", metav1.ListOptions{ResourceVersion: "999"})
		if !apierrors.IsTimeout(err) || err.Error() != "Timeout: Too large resource version: 999, current: 4" {
			t.Errorf("list of the future: %v", err)
		}
	})
}
