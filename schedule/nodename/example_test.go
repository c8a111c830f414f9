package nodename_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/schedule/nodename"
)

func ExampleFits() {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"disk": "ssd"}}}
	pod := &corev1.Pod{}
	pod.Spec.NodeName = "b"
	fmt.Println(nodename.Fits(pod, node))
	// Output: false
}
