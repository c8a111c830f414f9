package lifecycle_test

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lifepod/lifepod/lifecycle"
	"github.com/lifepod/lifepod/lifecycle/plan"
)

// A later request to delete a pod can shorten its grace period, never lengthen
// it.
func ExampleShorter() {
	pod, now := &corev1.Pod{}, time.Unix(0, 0)
	five := 5 * time.Second
	first := lifecycle.NewDeletion(pod, now, nil)
	second := lifecycle.Shorter(&first, lifecycle.NewDeletion(pod, now.Add(10*time.Second), &five))
	fmt.Println(first.Grace, second.Grace)
	fmt.Println(lifecycle.ActionName(plan.CreateSandbox{}))
	// Output:
	// 30s 15s
	// CreateSandbox
}
