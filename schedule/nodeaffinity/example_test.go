package nodeaffinity_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/schedule/nodeaffinity"
)

func ExampleFits() {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"disk": "ssd"}}}
	pod := &corev1.Pod{}
	pod.Spec.NodeSelector = map[string]string{"disk": "hdd"}
	fmt.Println(nodeaffinity.Fits(pod, node))
	// Output: false
}
