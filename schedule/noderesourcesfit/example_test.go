package noderesourcesfit_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/lifepod/lifepod/schedule/framework"
	"github.com/lifepod/lifepod/schedule/noderesourcesfit"
)

func ExampleFits() {
	pod := framework.NewPod(&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("3")}},
	}}}})
	node := framework.NewNode(&corev1.Node{Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourcePods: resource.MustParse("110"),
	}}})
	for _, short := range noderesourcesfit.Fits(pod, node) {
		fmt.Println(short.Reason(), short.Never)
	}
	fmt.Println(noderesourcesfit.LeastAllocated([]int64{500, 1 << 30}, []int64{2000, 4 << 30}))
	// Output:
	// Insufficient cpu true
	// 75
}
