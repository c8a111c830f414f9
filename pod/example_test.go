package pod_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/lifepod/lifepod/pod"
)

func Example() {
	always := corev1.ContainerRestartPolicyAlways
	cpu := func(s string) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(s)}}
	}
	p := &corev1.Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{
			{Name: "proxy", RestartPolicy: &always, Resources: cpu("100m")},
			{Name: "migrate", Resources: cpu("1")},
		},
		Containers: []corev1.Container{{Name: "web", Resources: cpu("500m")}},
	}}
	for c, kind := range pod.Containers(&p.Spec, pod.Main) {
		fmt.Println(c.Name, kind == pod.Init && pod.IsSidecar(c))
	}
	requests := pod.Requests(p)
	fmt.Println(requests.Cpu(), pod.QOS(p))
	fmt.Println(pod.Expand("http://$(HOST):80 $$(HOST) $(PORT)", pod.Lookup(map[string]string{"HOST": "web"})))
	// Output:
	// proxy true
	// migrate false
	// web false
	// 1100m Burstable
	// http://web:80 $(HOST) $(PORT)
}
