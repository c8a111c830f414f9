package defaults_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/admission/defaults"
)

func ExamplePod() {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "nginx"}}}}
	defaults.Pod(p)
	fmt.Println(p.Spec.RestartPolicy, p.Spec.Containers[0].ImagePullPolicy, *p.Spec.TerminationGracePeriodSeconds)
	// Output: Always Always 30
}
