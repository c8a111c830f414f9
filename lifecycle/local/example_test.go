package local_test

import (
	"context"
	"fmt"
	"log"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle/local"
)

// The program of the README's first screen. It needs root, so it is compiled
// and not run here.
func Example() {
	ctx := context.Background()
	pod := &corev1.Pod{}
	pod.Name = "hello"
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.Containers = []corev1.Container{{Name: "hello", Image: "busybox", Command: []string{"echo", "hi"}}}

	node, err := local.Open(local.Options{Root: "/var/lib/demo"}) // zero Options: sensible defaults
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()           // stops driving; containers go on
	h, err := node.Run(ctx, pod) // admits, schedules to itself, starts
	if err != nil {
		log.Fatal(err)
	}
	for st, err := range h.Status(ctx) { // iter.Seq2[corev1.PodStatus, error]
		fmt.Println(st.Phase, err)
		if st.Phase == corev1.PodSucceeded || st.Phase == corev1.PodFailed {
			break
		}
	}
	if err := h.Stop(ctx); err != nil { // graceful; returns when nothing is left
		log.Fatal(err)
	}
}

// A manifest is read strictly, and nothing of it is returned half.
func ExampleDecode() {
	_, _, err := local.Decode([]byte(`
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: app
    image: busybox
    comand: [sleep]
`))
	fmt.Println(err)
	// Output:
	// document 1 (line 1), Pod "web": Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.containers[0].comand"
}
