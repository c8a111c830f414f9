package pod

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// The value is that of Kubernetes' own tests.
func TestHashContainer(t *testing.T) {
	c := corev1.Container{Name: "test_container", Image: "foo/image:v1", Command: []string{"/bin/testcmd"}}
	if h := HashContainer(&c); h != 0x8e45cbd0 {
		t.Errorf("%x, want 8e45cbd0", h)
	}
	same := c
	same.Command = nil
	if HashContainer(&same) != HashContainer(&c) {
		t.Error("the command counts, though it cannot change")
	}
	other := c
	other.Image = "foo/image:v2"
	if HashContainer(&other) == HashContainer(&c) {
		t.Error("the image does not count")
	}
}
