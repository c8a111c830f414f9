package nodeports_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/schedule/framework"
	"github.com/lifepod/lifepod/schedule/nodeports"
)

func ExampleFits() {
	pod := func(ip string) *framework.Pod {
		return framework.NewPod(&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Ports: []corev1.ContainerPort{{HostIP: ip, HostPort: 80, ContainerPort: 80}},
		}}}})
	}
	node := framework.NewNode(&corev1.Node{}, pod("10.0.0.1"))
	fmt.Println(nodeports.Fits(pod("10.0.0.2"), node), nodeports.Fits(pod(""), node))
	// Output: true false
}
