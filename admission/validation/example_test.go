package validation_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/admission/defaults"
	"github.com/lifepod/lifepod/admission/validation"
)

func ExamplePod() {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "web", Image: "nginx", VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
		}}},
	}
	defaults.Pod(p)
	for _, err := range validation.Pod(p) {
		fmt.Println(err)
	}
	// Output: spec.containers[0].volumeMounts[0].name: Not found: "data"
}
