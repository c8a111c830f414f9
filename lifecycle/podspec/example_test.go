package podspec_test

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lifepod/lifepod/lifecycle/podspec"
)

func Example() {
	links := true
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "0a1b"},
		Spec: corev1.PodSpec{
			EnableServiceLinks: &links,
			Containers: []corev1.Container{{
				Name: "app", Image: "web:1", Command: []string{"serve", "--name=$(NAME)"},
				Env: []corev1.EnvVar{{Name: "NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.name"}}}},
			}},
		},
	}
	c := &pod.Spec.Containers[0]
	sandbox, err := podspec.Sandbox(podspec.SandboxInput{Pod: pod, CgroupParent: "/kubepods/pod0a1b"})
	if err != nil {
		fmt.Println(err)
		return
	}
	env, err := podspec.Env(podspec.EnvInput{Pod: pod, Container: c})
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg, err := podspec.Container(podspec.ContainerInput{Pod: pod, Container: c, Attempt: 2, ImageRef: "sha256:1", Env: env})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sandbox.Hostname, sandbox.LogDirectory)
	fmt.Println(cfg.Command, cfg.LogPath)
	// Output:
	// web /var/log/pods/default_web_0a1b
	// [serve --name=web] app/2.log
}

func ExampleRefused() {
	no := false
	pod := &corev1.Pod{Spec: corev1.PodSpec{HostUsers: &no}}
	for _, e := range podspec.Refused(pod) {
		fmt.Println(e)
	}
	// Output: spec.hostUsers: Forbidden: user namespaces are not supported: leave it out or set it to true
}
