package podcgroup_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/lifepod/lifepod/lifecycle/podcgroup"
)

func Example() {
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Name: "web", Resources: corev1.ResourceRequirements{Requests: list("250m", "64Mi"), Limits: list("500m", "128Mi")},
	}}}}
	p.UID = "8f2c"
	o := podcgroup.Options{Root: "/lifepod-1a2b3c4d", MemoryCapacity: 1 << 30}

	path, err := podcgroup.Path(p, o)
	fmt.Println(path, err)
	v := podcgroup.Values(p, o)
	fmt.Println(*v.CPUShares, *v.CPUQuota, *v.Memory)
	c := podcgroup.Container(p, &p.Spec.Containers[0], o)
	fmt.Println(c.CPUShares, c.CPUQuota, c.MemoryLimit, c.OOMScoreAdj)
	// Output:
	// /lifepod-1a2b3c4d/kubepods/burstable/pod8f2c <nil>
	// 256 50000 134217728
	// 256 50000 134217728 938
}
