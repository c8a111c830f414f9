package plan_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/plan"
	"github.com/lifepod/lifepod/lifecycle/podspec"
)

// TestHashContainer: what podspec writes on a container is what plan compares.
func TestHashContainer(t *testing.T) {
	for _, c := range []corev1.Container{{Name: "a", Image: "b"}, {Name: "a", Image: "b:2"}, {}} {
		if got, want := plan.HashContainer(&c), uint64(podspec.Hash(&c)); got != want {
			t.Errorf("%s: %d, and %d on the container", c.Image, got, want)
		}
	}
	a, b := corev1.Container{Name: "a", Image: "b"}, corev1.Container{Name: "a", Image: "b", Args: []string{"x"}}
	if plan.HashContainer(&a) != plan.HashContainer(&b) {
		t.Error("arguments count, though they cannot change")
	}
}
